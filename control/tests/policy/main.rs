//! The commands that ask a configuration about its policy, as a shell sees them.

mod diff;
mod explain;
mod flows;
mod lint;
#[path = "../support/mod.rs"]
mod support;
mod zones;

/// Two web servers and a database behind a service, a host, and staged policies that change something for each verdict.
pub(crate) const SHOP: &str = r#"
[[namespace]]
name = "shop"
labels = { team = "shop" }

[[endpoint]]
name = "web-1"
namespace = "shop"
addresses = ["10.0.0.1", "fd00::1"]
labels = { app = "web" }
ports = [{ name = "http", protocol = "tcp", port = 8080 }]

[[endpoint]]
name = "web-2"
namespace = "shop"
addresses = ["10.0.0.2"]
labels = { app = "web", canary = "yes" }
ports = [{ name = "http", protocol = "tcp", port = 9090 }]

[[endpoint]]
name = "db"
namespace = "shop"
addresses = ["10.0.0.9"]
labels = { app = "db" }
profiles = ["kns.shop"]

[[endpoint]]
name = "gate"
kind = "host"
addresses = ["10.0.1.1"]

[[service]]
name = "web"
namespace = "shop"
selector = "app == 'web'"
ports = [{ protocol = "tcp", port = 80, target = "http" }]

[[tier]]
name = "security"
order = 10
default = "pass"

[[policy]]
name = "quarantine"
tier = "security"
selector = "canary == 'yes'"
ingress = [{ action = "log" }, { action = "reject", source.nets = ["192.0.2.0/24"] }]

[[policy]]
name = "web"
namespace = "shop"
selector = "app == 'web'"
types = ["ingress", "egress"]

[[policy.ingress]]
action = "allow"
protocol = "tcp"
destination.ports = ["http"]

[[policy.ingress]]
action = "allow"
protocol = "icmp"
icmp.type = 8

[[policy.egress]]
action = "allow"
protocol = "tcp"
destination = { selector = "app == 'db'", ports = [5432] }

[[policy]]
name = "web"
namespace = "shop"
staged = "set"
selector = "app == 'web'"
types = ["ingress"]
ingress = [{ action = "deny", source.nets = ["198.51.100.0/24"] }, { action = "allow", protocol = "tcp" }]
"#;
