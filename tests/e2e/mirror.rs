//! The mirror of the kernel's routes and neighbours, held against the kernel in a namespace of its own.

use std::{
    collections::BTreeMap,
    fmt::Write,
    io::Write as _,
    net::IpAddr,
    process::Stdio,
    sync::{Arc, mpsc},
    thread,
    time::{Duration, Instant},
};

use ravelin_control::mirror::{Change, Follower, GroupId, Mirror, NeighbourState, Settings, TableId, Target};
use ravelin_tests::{netns::Namespace, process::wait_for, requirements};

/// A namespace with two interfaces to another one, and a follower in it that keeps a table of what it was told.
struct World {
    here: Namespace,
    there: Namespace,
    told: Arc<parking::Told>,
    follower: Follower,
}

/// What a user of changes makes of them.
mod parking {
    use std::{collections::BTreeMap, sync::Mutex};

    use ravelin_control::mirror::{Change, GroupId, TableId, Target};

    /// Prefixes by table, and groups by number.
    #[derive(Default)]
    pub(super) struct Told {
        pub(super) routes: Mutex<BTreeMap<(TableId, String), GroupId>>,
        pub(super) groups: Mutex<BTreeMap<GroupId, Target>>,
    }

    impl Told {
        pub(super) fn take(&self, changes: Vec<Change>) {
            let (mut routes, mut groups) = (self.routes.lock().unwrap(), self.groups.lock().unwrap());
            for change in changes {
                match change {
                    Change::Group(id, Some(target)) => drop(groups.insert(id, target)),
                    Change::Group(id, None) => {
                        assert!(!routes.values().any(|used| *used == id), "{id:?} is used and gone");
                        groups.remove(&id).expect("it was told");
                    }
                    Change::Route(table, prefix, Some(id)) => {
                        assert!(
                            groups.contains_key(&id),
                            "{prefix} leads to {id:?}, of which nothing is known"
                        );
                        routes.insert((table, prefix.to_string()), id);
                    }
                    Change::Route(table, prefix, None) => {
                        routes.remove(&(table, prefix.to_string())).expect("it was told");
                    }
                    Change::Link(..) | Change::Address(..) | Change::Neighbour(..) => {}
                }
            }
        }
    }
}
