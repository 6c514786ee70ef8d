use std::str::FromStr;

/// A filter program: the instructions that libpcap makes of an expression, checked once and then run on packets.
///
/// The instructions are those of the BSD packet filter (McCanne and Jacobson, 1993), as libpcap's `bpf_filter.c` understands them: a
/// load beyond the packet, and a division by zero, end the program with "no". Every place that a jump can lead to exists. Jumps go forward,
/// but for those of `protochain`, which follows a chain of headers; [`Self::STEPS`] bounds how far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    instructions: Box<[Instruction]>,
    /// The most steps that it may take.
    steps: usize,
}

/// Why a program is not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// It is empty, or longer than the kernel would take.
    #[error("a program has at least one instruction and at most {max}, not {0}", max = Program::MAX)]
    Length(usize),
    /// No such instruction.
    #[error("instruction {at}: there is no code {code:#06x}")]
    Unknown {
        /// Where, from 0.
        at: usize,
        /// The code.
        code: u16,
    },
    /// A jump leads out of the program, or its last instruction does.
    #[error("instruction {0} leads out of the program")]
    Jump(usize),
    /// A memory cell that does not exist.
    #[error("instruction {0} uses a memory cell that does not exist")]
    Memory(usize),
    /// A division by a constant zero, or a shift by more bits than there are.
    #[error("instruction {0} cannot be calculated")]
    Constant(usize),
}

/// An instruction as libpcap gives it: `struct bpf_insn`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawInstruction {
    /// What to do.
    pub code: u16,
    /// How many instructions to skip if a comparison holds.
    pub jump_true: u8,
    /// And if not.
    pub jump_false: u8,
    /// A number.
    pub k: u32,
}

impl FromStr for RawInstruction {
    type Err = ();

    /// Four numbers, as `tcpdump -ddd` prints them.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split_ascii_whitespace();
        let mut word = || words.next().ok_or(());
        let instruction = Self {
            code: word()?.parse().map_err(drop)?,
            jump_true: word()?.parse().map_err(drop)?,
            jump_false: word()?.parse().map_err(drop)?,
            k: word()?.parse().map_err(drop)?,
        };
        words.next().is_none().then_some(instruction).ok_or(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Word,
    Half,
    Byte,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Calculation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Or,
    And,
    ShiftLeft,
    ShiftRight,
    Remainder,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operand {
    Constant(u32),
    X,
}

/// What an instruction does to the accumulator A and the index X.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Instruction {
    Load(Size, u32),
    LoadIndexed(Size, u32),
    LoadConstant(u32),
    LoadLength,
    LoadCell(usize),
    LoadXConstant(u32),
    LoadXLength,
    LoadXCell(usize),
    /// The length of the IPv4 header whose first byte is there.
    LoadXHeaderLength(u32),
    Store(usize),
    StoreX(usize),
    Calculate(Calculation, Operand),
    Negate,
    Jump(isize),
    Compare(Comparison, Operand, usize, usize),
    Return(u32),
    ReturnA,
    Move,
    MoveBack,
}

/// Memory cells.
const CELLS: usize = 16;

impl Program {
    /// The most instructions that a program has: `BPF_MAXINSNS`.
    pub const MAX: usize = 4096;

    /// Steps that a program that goes back may take, besides one for each instruction: more than the longest chain of headers takes that
    /// systems send.
    pub const STEPS: usize = 1024;

    /// Checks a program.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(raw: &[RawInstruction]) -> Result<Self, ProgramError> {
        if raw.is_empty() || raw.len() > Self::MAX {
            return Err(ProgramError::Length(raw.len()));
        }
        let instructions: Box<[_]> =
            raw.iter().enumerate().map(|(at, raw)| decode(*raw, at)).collect::<Result<_, _>>()?;
        for (at, instruction) in instructions.iter().enumerate() {
            check(*instruction, at, instructions.len())?;
        }
        let goes_back = instructions.iter().any(|it| matches!(it, Instruction::Jump(..0)));
        let steps = instructions.len() + if goes_back { Self::STEPS } else { 0 };
        Ok(Self { instructions, steps })
    }

    /// Whether the filter wants a packet of which these bytes were captured, and which was `length` bytes long.
    pub fn wants(&self, packet: &[u8], length: u32) -> bool {
        self.run(packet, length) != 0
    }

    /// What the program returns: how many bytes of the packet are wanted.
    fn run(&self, packet: &[u8], length: u32) -> u32 {
        let (mut a, mut x, mut cells, mut at) = (0_u32, 0_u32, [0_u32; CELLS], 0);
        for _ in 0..self.steps {
            let Some(instruction) = self.instructions.get(at) else { break };
            at += 1;
            match *instruction {
                Instruction::Load(size, from) => match load(packet, size, from) {
                    Some(value) => a = value,
                    None => return 0,
                },
                Instruction::LoadIndexed(size, from) => {
                    match x.checked_add(from).and_then(|from| load(packet, size, from)) {
                        Some(value) => a = value,
                        None => return 0,
                    }
                }
                Instruction::LoadConstant(value) => a = value,
                Instruction::LoadLength => a = length,
                Instruction::LoadCell(cell) => a = cells.get(cell).copied().unwrap_or_default(),
                Instruction::LoadXConstant(value) => x = value,
                Instruction::LoadXLength => x = length,
                Instruction::LoadXCell(cell) => x = cells.get(cell).copied().unwrap_or_default(),
                Instruction::LoadXHeaderLength(from) => match load(packet, Size::Byte, from) {
                    Some(byte) => x = (byte & 0xf) << 2,
                    None => return 0,
                },
                Instruction::Store(cell) => cells.get_mut(cell).into_iter().for_each(|kept| *kept = a),
                Instruction::StoreX(cell) => cells.get_mut(cell).into_iter().for_each(|kept| *kept = x),
                Instruction::Calculate(calculation, operand) => {
                    match calculate(calculation, a, operand.value(x)) {
                        Some(value) => a = value,
                        None => return 0,
                    }
                }
                Instruction::Negate => a = a.wrapping_neg(),
                Instruction::Jump(skip) => at = at.wrapping_add_signed(skip),
                Instruction::Compare(comparison, operand, yes, no) => {
                    at += if compare(comparison, a, operand.value(x)) { yes } else { no };
                }
                Instruction::Return(value) => return value,
                Instruction::ReturnA => return a,
                Instruction::Move => x = a,
                Instruction::MoveBack => a = x,
            }
        }
        0
    }
}

impl Operand {
    const fn value(self, x: u32) -> u32 {
        match self {
            Self::Constant(value) => value,
            Self::X => x,
        }
    }
}

fn load(packet: &[u8], size: Size, from: u32) -> Option<u32> {
    let rest = packet.get(from as usize..)?;
    match size {
        Size::Word => rest.first_chunk().copied().map(u32::from_be_bytes),
        Size::Half => rest.first_chunk().copied().map(u16::from_be_bytes).map(u32::from),
        Size::Byte => rest.first().copied().map(u32::from),
    }
}

/// `None` for a division by zero.
const fn calculate(calculation: Calculation, a: u32, b: u32) -> Option<u32> {
    Some(match calculation {
        Calculation::Add => a.wrapping_add(b),
        Calculation::Subtract => a.wrapping_sub(b),
        Calculation::Multiply => a.wrapping_mul(b),
        Calculation::Divide => return a.checked_div(b),
        Calculation::Or => a | b,
        Calculation::And => a & b,
        Calculation::ShiftLeft => {
            if b < u32::BITS {
                a << b
            } else {
                0
            }
        }
        Calculation::ShiftRight => {
            if b < u32::BITS {
                a >> b
            } else {
                0
            }
        }
        Calculation::Remainder => return a.checked_rem(b),
        Calculation::Xor => a ^ b,
    })
}

const fn compare(comparison: Comparison, a: u32, b: u32) -> bool {
    match comparison {
        Comparison::Equal => a == b,
        Comparison::Greater => a > b,
        Comparison::GreaterOrEqual => a >= b,
        Comparison::AnyBit => a & b != 0,
    }
}

fn cell(k: u32, at: usize) -> Result<usize, ProgramError> {
    usize::try_from(k).ok().filter(|cell| *cell < CELLS).ok_or(ProgramError::Memory(at))
}

/// Codes are those of `<pcap/bpf.h>`: class, then size and mode, or operation and source.
fn decode(raw: RawInstruction, at: usize) -> Result<Instruction, ProgramError> {
    let RawInstruction { code, jump_true, jump_false, k } = raw;
    let unknown = ProgramError::Unknown { at, code };
    let operand = if code & 0x08 == 0 { Operand::Constant(k) } else { Operand::X };
    Ok(match code {
        0x20 => Instruction::Load(Size::Word, k),
        0x28 => Instruction::Load(Size::Half, k),
        0x30 => Instruction::Load(Size::Byte, k),
        0x40 => Instruction::LoadIndexed(Size::Word, k),
        0x48 => Instruction::LoadIndexed(Size::Half, k),
        0x50 => Instruction::LoadIndexed(Size::Byte, k),
        0x00 => Instruction::LoadConstant(k),
        0x80 => Instruction::LoadLength,
        0x60 => Instruction::LoadCell(cell(k, at)?),
        0x01 => Instruction::LoadXConstant(k),
        0x81 => Instruction::LoadXLength,
        0x61 => Instruction::LoadXCell(cell(k, at)?),
        0xb1 => Instruction::LoadXHeaderLength(k),
        0x02 => Instruction::Store(cell(k, at)?),
        0x03 => Instruction::StoreX(cell(k, at)?),
        0x84 => Instruction::Negate,
        0x05 => Instruction::Jump(k as i32 as isize),
        0x06 => Instruction::Return(k),
        0x16 => Instruction::ReturnA,
        0x07 => Instruction::Move,
        0x87 => Instruction::MoveBack,
        _ if code & 0x07 == 0x04 && code & 0xff00 == 0 => {
            Instruction::Calculate(calculation(code).ok_or(unknown)?, operand)
        }
        _ if code & 0x07 == 0x05 && code & 0xff00 == 0 => {
            let comparison = comparison(code).ok_or(unknown)?;
            Instruction::Compare(comparison, operand, usize::from(jump_true), usize::from(jump_false))
        }
        _ => return Err(unknown),
    })
}

const fn calculation(code: u16) -> Option<Calculation> {
    Some(match code & 0xf0 {
        0x00 => Calculation::Add,
        0x10 => Calculation::Subtract,
        0x20 => Calculation::Multiply,
        0x30 => Calculation::Divide,
        0x40 => Calculation::Or,
        0x50 => Calculation::And,
        0x60 => Calculation::ShiftLeft,
        0x70 => Calculation::ShiftRight,
        0x90 => Calculation::Remainder,
        0xa0 => Calculation::Xor,
        _ => return None,
    })
}

const fn comparison(code: u16) -> Option<Comparison> {
    Some(match code & 0xf0 {
        0x10 => Comparison::Equal,
        0x20 => Comparison::Greater,
        0x30 => Comparison::GreaterOrEqual,
        0x40 => Comparison::AnyBit,
        _ => return None,
    })
}

/// Where an instruction can lead must exist, and constants must be such that something can be calculated.
fn check(instruction: Instruction, at: usize, length: usize) -> Result<(), ProgramError> {
    let rest = length - at - 1;
    let leads_out = match instruction {
        Instruction::Return(_) | Instruction::ReturnA => false,
        Instruction::Jump(skip) => (at + 1).checked_add_signed(skip).is_none_or(|to| to >= length),
        Instruction::Compare(_, _, yes, no) => yes.max(no) >= rest,
        Instruction::Load(..)
        | Instruction::LoadIndexed(..)
        | Instruction::LoadConstant(_)
        | Instruction::LoadLength
        | Instruction::LoadCell(_)
        | Instruction::LoadXConstant(_)
        | Instruction::LoadXLength
        | Instruction::LoadXCell(_)
        | Instruction::LoadXHeaderLength(_)
        | Instruction::Store(_)
        | Instruction::StoreX(_)
        | Instruction::Calculate(..)
        | Instruction::Negate
        | Instruction::Move
        | Instruction::MoveBack => rest == 0,
    };
    let cannot = matches!(
        instruction,
        Instruction::Calculate(Calculation::Divide | Calculation::Remainder, Operand::Constant(0))
            | Instruction::Calculate(
                Calculation::ShiftLeft | Calculation::ShiftRight,
                Operand::Constant(32..)
            )
    );
    match (leads_out, cannot) {
        (true, _) => Err(ProgramError::Jump(at)),
        (false, true) => Err(ProgramError::Constant(at)),
        (false, false) => Ok(()),
    }
}
