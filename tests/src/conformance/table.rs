use super::ENDS;
use ravelin_config::types::Protocol;

/// What a table says about a source and a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// `.`
    Allowed,
    /// `X`
    Denied,
    /// `-`: nothing, since no pod is concerned.
    Nothing,
}

impl Cell {
    /// Whether flows must be allowed, if anything is said about them.
    pub const fn allowed(self) -> Option<bool> {
        match self {
            Self::Allowed => Some(true),
            Self::Denied => Some(false),
            Self::Nothing => None,
        }
    }
}

/// Who reaches whom on some ports: sources are rows, destinations are columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The ports that it is about.
    pub ports: Vec<(Protocol, u16)>,
    /// The families that it is about; true for IPv6.
    pub families: Vec<bool>,
    cells: Vec<Vec<Cell>>,
}

/// The head of every table: namespaces over pods.
const HEAD: [&str; 2] = ["     xxx yyy zzz out", "     abc abc abc"];

impl Table {
    /// Reads a table; `what` are its ports (`tcp/80`), and one family if it is not about both.
    pub(super) fn parse(what: &str, body: &str) -> Result<Self, String> {
        let (mut ports, mut families) = (Vec::new(), vec![false, true]);
        for word in what.split(' ') {
            match (word, word.split_once('/')) {
                ("ipv4", _) => families = vec![false],
                ("ipv6", _) => families = vec![true],
                (_, Some((protocol, port))) => {
                    let protocol: Protocol = protocol.parse().map_err(|error| format!("{word}: {error}"))?;
                    ports.push((protocol, port.parse().map_err(|error| format!("{word}: {error}"))?));
                }
                (_, None) => return Err(format!("neither a port nor a family: {word}")),
            }
        }
        let mut lines = body.lines();
        for head in HEAD {
            if lines.next() != Some(head) {
                return Err(format!("the table for {what} does not start with\n{}", HEAD.join("\n")));
            }
        }
        let rows: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        if rows.len() != ENDS.len() {
            return Err(format!("the table for {what} has {} rows", rows.len()));
        }
        let cells = rows.iter().zip(ENDS).map(|(row, end)| cells_of(row, end)).collect::<Result<_, _>>()?;
        Ok(Self { ports, families, cells })
    }

    /// Whether it says something about a port in a family.
    pub fn is_about(&self, protocol: Protocol, port: u16, version6: bool) -> bool {
        self.ports.contains(&(protocol, port)) && self.families.contains(&version6)
    }

    /// Row, column and what stands there.
    pub fn cells(&self) -> impl Iterator<Item = ((usize, usize), Cell)> {
        self.cells.iter().enumerate().flat_map(|(row, cells)| {
            cells.iter().enumerate().map(move |(column, cell)| ((row, column), *cell))
        })
    }
}

/// The cells of a row: a name of five characters, then three groups of three and one of one.
fn cells_of(row: &str, end: &str) -> Result<Vec<Cell>, String> {
    let named = row.split_once(' ').filter(|(name, _)| *name == end);
    let (_, groups) = named.ok_or_else(|| format!("not the row of {end}: {row}"))?;
    let groups: Vec<&str> = groups.split_whitespace().collect();
    if groups.iter().map(|group| group.len()).ne([3, 3, 3, 1]) {
        return Err(format!("not three groups of three and one cell: {row}"));
    }
    groups
        .concat()
        .chars()
        .map(|cell| match cell {
            '.' => Ok(Cell::Allowed),
            'X' => Ok(Cell::Denied),
            '-' => Ok(Cell::Nothing),
            other => Err(format!("`{other}` is none of `.`, `X` and `-`: {row}")),
        })
        .collect()
}
