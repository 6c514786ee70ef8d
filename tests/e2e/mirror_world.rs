//! A namespace whose routes are followed, and what is said of them held against the kernel.

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::IpAddr,
    process::Stdio,
    sync::{Arc, Mutex, MutexGuard},
};

use ravelin_control::mirror::{Change, Follower, GroupId, Hop, LinkIndex, Mirror, Settings, TableId, Target};
use ravelin_tests::{
    netns::Namespace,
    process::{attempt, wait_for},
    requirements,
};

/// What a user of changes makes of them.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) routes: BTreeMap<(TableId, String), GroupId>,
    pub(crate) groups: BTreeMap<GroupId, Target>,
    /// Changes of routes and groups.
    pub(crate) changes: usize,
}

impl Told {
    fn take(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.changes += usize::from(matches!(change, Change::Group(..) | Change::Route(..)));
            match change {
                Change::Group(id, Some(target)) => {
                    self.groups.insert(id, target);
                }
                Change::Group(id, None) => {
                    assert!(!self.routes.values().any(|used| *used == id), "{id:?} is gone and used");
                    self.groups.remove(&id).expect("it was told");
                }
                Change::Route(table, prefix, Some(id)) => {
                    assert!(self.groups.contains_key(&id), "{prefix} leads to {id:?}, which is not known");
                    let before = self.routes.insert((table, prefix.to_string()), id);
                    assert_ne!(before, Some(id), "{prefix} is no news");
                }
                Change::Route(table, prefix, None) => {
                    self.routes.remove(&(table, prefix.to_string())).expect("it was told");
                }
                Change::Link(..) | Change::Address(..) | Change::Neighbour(..) => {}
            }
        }
    }

    fn routes(&self) -> Routes {
        self.routes.iter().map(|(key, id)| (key.clone(), self.groups[id].clone())).collect()
    }
}

type Routes = BTreeMap<(TableId, String), Target>;

/// A namespace with the interfaces `east` and `west` to another one, and a follower that tells of it.
pub(crate) struct World {
    pub(crate) here: Namespace,
    pub(crate) there: Namespace,
    pub(crate) told: Arc<Mutex<Told>>,
    pub(crate) follower: Follower,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Option<Self> {
        if !requirements::met(&["ip"]) {
            return None;
        }
        let (here, there) = (Namespace::new("here"), Namespace::new("there"));
        here.sysctl("ipv6/conf/all/forwarding", "1");
        for (number, name) in [(1, "east"), (2, "west")] {
            here.ip(&format!("link add {name} type veth peer name {name} netns {}", there.name()));
            for (end, namespace) in [(1, &here), (2, &there)] {
                namespace.ip(&format!("address add 10.{number}.0.{end}/24 dev {name}"));
                namespace.ip(&format!("address add fd0{number}::{end}/64 dev {name} nodad"));
            }
            there.ip(&format!("link set {name} up"));
            here.ip(&format!("link set {name} up"));
        }
        let told = Arc::new(Mutex::new(Told::default()));
        let follower = follow(&here, settings, &told);
        let world = Self { here, there, told, follower };
        world.agrees("what is there at first");
        Some(world)
    }

    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Waits until what was told is what somebody is told who begins now.
    pub(crate) fn agrees(&self, what: &str) {
        let mut tries = 0;
        wait_for(what, || {
            let fresh = Arc::new(Mutex::new(Told::default()));
            drop(follow(&self.here, Settings::default(), &fresh));
            let (fresh, told) = (fresh.lock().unwrap().routes(), self.told().routes());
            tries += 1;
            if fresh != told && tries == 500 {
                let missing: Vec<_> =
                    fresh.iter().filter(|(key, is)| told.get(key) != Some(is)).take(5).collect();
                let surplus: Vec<_> =
                    told.iter().filter(|(key, is)| fresh.get(key) != Some(is)).take(5).collect();
                eprintln!("{what}: should be {missing:?} and is {surplus:?}; {:?}", self.follower.counts());
            }
            fresh == told
        });
        let counts = self.follower.counts();
        assert_eq!(counts.undecoded, 0);
        assert!(counts.lists_failed == 0 || counts.overruns > 0, "{counts:?}");
    }

    /// Asks the kernel which way packets to an address take, and holds what was told against it.
    pub(crate) fn goes(&self, address: &str, way: &str) {
        let is: IpAddr = address.parse().unwrap();
        let kernel = || {
            let mut ip = self.here.split(&format!("ip -o route get {address}"));
            let (_, out, error) = attempt(&mut ip);
            if error.contains("Network is unreachable") { "nowhere".to_owned() } else { out + &error }
        };
        let ours = || self.follower.look(|mirror| describe(mirror, TableId::MAIN, is));
        let mut tries = 0;
        wait_for(&format!("{address} to go {way}"), || {
            tries += 1;
            if tries == 200 {
                eprintln!("{address} should go {way}; the kernel: {}; the mirror: {}", kernel(), ours());
            }
            ours() == way
        });
        if !way.contains('+') {
            assert!(
                kernel().contains(way),
                "{address} goes {way} by the mirror, and by the kernel {}",
                kernel()
            );
        }
    }

    pub(crate) fn link(&self, name: &str) -> LinkIndex {
        self.follower.look(|mirror| mirror.links().find(|link| link.name == name).expect("it is there").index)
    }

    /// Has `ip` do all of this.
    pub(crate) fn batch(&self, family: &str, lines: impl Iterator<Item = String>) {
        let mut ip = self.here.split(&format!("ip {family} -batch -"));
        let mut child = ip.stdin(Stdio::piped()).spawn().expect("ip starts");
        let text: String = lines.map(|line| line + "\n").collect();
        child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("ip reads");
        assert!(child.wait().expect("ip ends").success());
    }
}

fn follow(here: &Namespace, settings: Settings, told: &Arc<Mutex<Told>>) -> Follower {
    let told = Arc::clone(told);
    let tell = move |_: &Mirror, changes| told.lock().unwrap().take(changes);
    here.inside(|| Follower::start(settings, tell)).expect("it follows")
}

/// The way of packets in the words of `ip route get`.
pub(crate) fn describe(mirror: &Mirror, table: TableId, address: IpAddr) -> String {
    let Some((_, target)) = mirror.lookup(table, address) else { return "nowhere".to_owned() };
    if *target == Target::Local {
        return "local".to_owned();
    }
    let hop = |hop: &Hop| {
        let name = &mirror.link(hop.link).expect("it is there").name;
        match hop.gateway {
            Some(gateway) => format!("via {gateway} dev {name}"),
            None => format!("dev {name}"),
        }
    };
    let hops: Vec<String> = target.hops().iter().map(hop).collect();
    if hops.is_empty() { format!("{target:?}").to_lowercase() } else { hops.join(" + ") }
}
