//! Taking interfaces over: from settings to one backend for each worker.
//!
//! The order matters. Offloads first, because some drivers refuse XDP with them on. Then the program, because some
//! drivers bind a zero-copy socket only with one; until a socket is there it does what the operator chose for that
//! case. But where a program of ours is attached already, sockets come first: if they cannot be bound, another process
//! is alive and owns the interface, and its program must stay. Most often that can be told before: see `owner.rs`. If anything fails, what was attached is detached.

use std::os::fd::AsFd;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::{
    AfXdpError, AfXdpIo, CopyMode, InterfaceSettings, Link, Note, Role, Settings, WithoutProcess,
    WithoutSocket, ZeroCopy,
    assemble::{Assembly, assemble},
    control::{AfXdpControl, Port},
    error::chain,
    memory::Memory,
    napi::{self, ReceiveThreads},
    offload::Saved,
    program::{self, Beside, Program, Wanted},
    socket,
};

/// Takes the interfaces over. Returns each worker's backend, in the order of workers, and what the control thread keeps.
///
/// # Errors
/// What cannot be opened, with the reason. Then everything is as it was before.
pub fn open(settings: &Settings) -> Result<(Vec<AfXdpIo>, AfXdpControl), AfXdpError> {
    settings.check()?;
    // Needed on kernels that count packet memory against this limit; on others, and where it is forbidden, the limit
    // does not matter or is high enough.
    let unlimited = Rlimit { current: None, maximum: None };
    let _best_effort = setrlimit(Resource::Memlock, unlimited);

    let links = settings.interfaces.iter().map(|i| Link::find(&i.name)).collect::<Result<Vec<_>, _>>()?;
    let inherited = links.iter().map(program::is_attached).collect::<Result<Vec<_>, _>>()?;
    for link in &links {
        if let Some(owner) = program::owner(link)? {
            return Err(AfXdpError::InUse { interface: link.name.clone(), owner: Some(owner) });
        }
    }
    let mut takeover = Takeover {
        settings,
        links,
        inherited,
        programs: Vec::new(),
        threads: Vec::new(),
        saved: Saved::open(&settings.state_file)?,
        notes: Vec::new(),
    };
    match takeover.run() {
        Ok((assembly, mode)) => {
            let Takeover { links, programs, threads, saved, mut notes, .. } = takeover;
            notes.extend(
                links.iter().zip(&programs).filter_map(|(link, (_, program))| about_tags(link, program)),
            );
            let sockets = assembly.sockets.into_iter().zip(assembly.outlets);
            let ports = links.into_iter().zip(programs).zip(threads).zip(sockets);
            let port = |(((link, (_, program)), threads), (sockets, outlet))| Port {
                link,
                program,
                threads,
                sockets,
                outlet,
                mode,
            };
            Ok((assembly.backends, AfXdpControl { ports: ports.map(port).collect(), notes, saved }))
        }
        Err(error) => {
            takeover.undo();
            Err(error)
        }
    }
}

/// An attempt to take interfaces over.
struct Takeover<'a> {
    settings: &'a Settings,
    links: Vec<Link>,
    /// By interface: whether a program of ours was there before.
    inherited: Vec<bool>,
    /// What has been attached, with the interface's place in the list.
    programs: Vec<(usize, Program)>,
    /// By interface: the kernel's receive threads.
    threads: Vec<Option<ReceiveThreads>>,
    saved: Saved,
    notes: Vec<Note>,
}

impl Takeover<'_> {
    fn run(&mut self) -> Result<(Assembly, CopyMode), AfXdpError> {
        for link in &self.links {
            self.notes.extend(self.saved.switch_off(link)?);
            if self.settings.workers > 1 && link.queues > 1 {
                self.notes.extend(self.saved.make_symmetric(link)?);
            }
        }
        let memory = Memory::new(self.settings.shape(&self.links))?;
        let max_frame = memory.max_frame;

        self.attach(false, max_frame)?;
        let mode = self.choose_copy_mode()?;
        let assembly = assemble(self.settings, &self.links, memory, mode)?;
        self.attach(true, max_frame)?;

        self.programs.sort_by_key(|(place, _)| *place);
        self.start_threads()?;
        self.hand_over(&assembly)?;
        Ok((assembly, mode))
    }

    /// Moves the kernel's receive work into threads, where that is wanted and possible.
    fn start_threads(&mut self) -> Result<(), AfXdpError> {
        for (link, (_, program)) in self.links.iter().zip(&self.programs) {
            let mut threads = None;
            if napi::are_wanted(self.settings, link, program.mode()) {
                match self.saved.remember_unthreaded(link)? {
                    None => threads = Some(ReceiveThreads::new(&self.settings.spare_cores)),
                    Some(note) => self.notes.push(note),
                }
            }
            self.notes.extend(napi::tend(&mut threads, link));
            self.threads.push(threads);
        }
        Ok(())
    }

    /// Tells the programs where frames go; they go there from the last step on.
    fn hand_over(&self, assembly: &Assembly) -> Result<(), AfXdpError> {
        let refused = |link: &Link, queue: u32, error: libbpf_rs::Error| AfXdpError::Socket {
            interface: link.name.clone(),
            queue,
            reason: chain(&error),
        };
        for ((link, (_, program)), sockets) in self.links.iter().zip(&self.programs).zip(&assembly.sockets) {
            for (queue, socket) in (0..).zip(sockets) {
                let inserted = program.insert_socket(queue, socket.as_fd());
                inserted.map_err(|error| refused(link, queue, error))?;
            }
        }
        let mut sockets = assembly.sockets.iter().flatten();
        if let (Some(link), Some((_, program)), Some(first)) =
            (self.links.first(), self.programs.first(), sockets.next())
        {
            let last = sockets.next_back().unwrap_or(first);
            program.announce(first.as_fd(), last.as_fd()).map_err(|error| refused(link, 0, error))?;
        }
        Ok(())
    }

    /// Attaches the program to the interfaces that have inherited one, or to those that have not.
    fn attach(&mut self, inherited: bool, max_frame: u32) -> Result<(), AfXdpError> {
        let interfaces = self.links.iter().zip(&self.settings.interfaces).zip(&self.inherited).enumerate();
        for (place, ((link, interface), has)) in interfaces {
            if *has == inherited {
                let wanted = Wanted {
                    without_socket: without_socket(interface)?,
                    max_frame,
                    beside: match &interface.role {
                        Role::Whole => Beside::Nothing,
                        Role::Router => Beside::Kernel,
                        Role::Host(other) => Beside::Pair(Link::find(other)?),
                    },
                };
                let sibling = self.programs.first().map(|(_, program)| program);
                let program = Program::attach(link, interface.attach, &wanted, sibling)?;
                self.programs.push((place, program));
            }
        }
        Ok(())
    }

    fn choose_copy_mode(&mut self) -> Result<CopyMode, AfXdpError> {
        match self.settings.zero_copy {
            ZeroCopy::Off => return Ok(CopyMode::Copy),
            ZeroCopy::On => return Ok(CopyMode::ZeroCopy),
            ZeroCopy::Auto => {}
        }
        for link in &self.links {
            match socket::can_zero_copy(link) {
                Ok(()) => {}
                Err(AfXdpError::Socket { reason, .. }) => {
                    let text = format!("copy mode on all interfaces: zero-copy is refused here: {reason}");
                    self.notes.push(Note::new(link, text));
                    return Ok(CopyMode::Copy);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(CopyMode::ZeroCopy)
    }

    fn undo(self) {
        // Where a program was inherited traffic goes on as it did, under the old program or the new.
        for (place, _) in &self.programs {
            if let (Some(link), Some(false)) = (self.links.get(*place), self.inherited.get(*place)) {
                self.saved.stop_threads(link);
                let _the_first_error_counts = program::detach(link);
            }
        }
        if !self.inherited.contains(&true) {
            let _the_first_error_counts = self.saved.restore();
        }
    }
}

fn without_socket(interface: &InterfaceSettings) -> Result<WithoutSocket, AfXdpError> {
    Ok(match &interface.without_process {
        WithoutProcess::Closed => WithoutSocket::Closed,
        WithoutProcess::OpenTwin(twin) => WithoutSocket::OpenTwin(Link::find(twin)?.index),
        WithoutProcess::OpenKernel => WithoutSocket::OpenKernel,
    })
}

/// What is lost where VLAN tags cannot be asked for.
fn about_tags(link: &Link, program: &Program) -> Option<Note> {
    (!program.restores_tags && link.driver == "veth").then(|| {
        let text = "VLAN tags that the peer leaves to its virtual hardware are lost in this mode; \
                    at the peer: ethtool -K INTERFACE tx-vlan-hw-insert off tx-vlan-stag-hw-insert off";
        Note::new(link, text.into())
    })
}
