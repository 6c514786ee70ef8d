//! What every object has: kind, name, namespace and labels; and where each kind goes.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use ravelin_config::resources::{
    Endpoint, Labels, Namespace, NetworkSet, Policy, Profile, Resources, Service, Tier,
};

use super::{
    Imported, MAX_FILE, calico,
    fields::{At, Fault, Fields},
    kubernetes,
    remark::{Place, Remarks},
    yaml,
};

/// Takes in manifests file by file.
#[derive(Debug, Default)]
pub struct Importer {
    resources: Resources,
    pub(super) remarks: Remarks,
    /// Where each resource came from, by what it is, namespace and name.
    seen: HashMap<(&'static str, Option<String>, String), Place>,
    /// Objects of kinds that are none of ours: how many, and where the first is.
    others: BTreeMap<String, (usize, Place)>,
}

/// What an object says of itself before its kind matters.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) name: String,
    /// Its namespace, or the one that it has if it does not say. Of no meaning for kinds without.
    pub(super) namespace: String,
    pub(super) labels: Labels,
}

/// Turns an object into resources. A fault means that the object is not carried over.
pub(super) type Convert = fn(Header, &mut Fields<'_>, &mut Importer) -> Result<(), Fault>;

impl Importer {
    /// Takes in the manifests in `bytes`, which are called `file` in remarks.
    pub fn read(&mut self, bytes: &[u8], file: &str) {
        self.remarks.place = Place { file: Arc::from(file), document: 0 };
        self.remarks.about(None, None, None);
        if bytes.len() > MAX_FILE {
            let fault = Fault::general(format_args!("the file has more than {MAX_FILE} bytes"));
            return self.remarks.error(fault, "nothing of it is carried over");
        }
        let text = match str::from_utf8(bytes) {
            Ok(text) => text.strip_prefix('\u{feff}').unwrap_or(text),
            Err(error) => {
                let at = error.valid_up_to();
                let fault = Fault::general(format_args!("the file is not UTF-8 from byte {at} on"));
                return self.remarks.error(fault, "nothing of it is carried over");
            }
        };
        for document in yaml::documents(text) {
            self.remarks.place.document += 1;
            self.remarks.about(None, None, None);
            match document {
                Ok(node) => self.object(&At::root(&node), None),
                Err(error) => {
                    let fault = Fault { field: String::new(), line: Some(error.line), what: error.what };
                    self.remarks.error(fault, "the document is not carried over");
                }
            }
        }
    }

    /// What all of it says.
    pub fn finish(mut self) -> Imported {
        for (kind, (count, place)) in std::mem::take(&mut self.others) {
            self.remarks.place = place;
            self.remarks.about(Some(&kind), None, None);
            let objects = if count == 1 { "object" } else { "objects" };
            let fault = Fault::general(format_args!("{count} {objects} of this kind, the first one here"));
            self.remarks.note(fault, "this kind has no part in policy and is not carried over");
        }
        // A service account of which nothing is known has no labels to hand on.
        let profiles: HashSet<&str> = self.resources.profiles.iter().map(|p| p.name.as_str()).collect();
        for endpoint in &mut self.resources.endpoints {
            endpoint
                .profiles
                .retain(|profile| !profile.starts_with("ksa.") || profiles.contains(profile.as_str()));
        }
        Imported { resources: self.resources, remarks: self.remarks.finish() }
    }

    /// Takes in an object, or each object of a list. Items of a typed list need not say what they are: `item` does.
    fn object(&mut self, at: &At<'_>, item: Option<(&str, &str)>) {
        if at.node.is_null() {
            return;
        }
        if let Err(fault) = self.dispatch(at, item) {
            self.remarks.error(fault, "the object is not carried over");
        }
    }

    fn dispatch(&mut self, at: &At<'_>, item: Option<(&str, &str)>) -> Result<(), Fault> {
        self.remarks.about(item.map(|(_, kind)| kind), None, None);
        let mut root = at.fields()?;
        let (api, kind) = match (root.text("apiVersion")?, root.text("kind")?, item) {
            (Some(api), Some(kind), _) | (None, None, Some((api, kind))) => (api, kind),
            (None, _, _) => return Err(at.fault("`apiVersion` is missing")),
            (Some(_), None, _) => return Err(at.fault("`kind` is missing")),
        };
        self.remarks.about(Some(kind), None, None);
        if let (Some(kind), Some(items)) = (kind.strip_suffix("List"), root.get("items")) {
            let item = if kind.is_empty() { None } else { Some((api, kind)) };
            // Fields are named from the object on, not from the list.
            items.list()?.for_each(|at| self.object(&At::root(at.node), item));
            return Ok(());
        }
        let (group, version) = api.split_once('/').unwrap_or(("", api));
        let Some((convert, namespaced)) = family(group, version, kind) else {
            return self.other(at, group, api, kind);
        };
        let header = header(group, &mut root)?;
        let namespace = namespaced.then_some(header.namespace.as_str());
        self.remarks.about(Some(kind), namespace, Some(&header.name));
        root.ignore(&["status"]);
        convert(header, &mut root, self)?;
        self.ignored(&root);
        Ok(())
    }

    /// Says of the fields that nobody has asked for that they are ignored.
    pub(super) fn ignored(&mut self, fields: &Fields<'_>) {
        for fault in fields.unknown() {
            self.remarks.warning(fault, "it is ignored");
        }
    }

    /// An object of a kind that is not known.
    fn other(&mut self, at: &At<'_>, group: &str, api: &str, kind: &str) -> Result<(), Fault> {
        if kind.ends_with("NetworkPolicy") || family(group, "", kind).is_some() {
            return Err(at.fault(format_args!("this kind cannot be read in {api}")));
        }
        let kind: String = kind.chars().take(64).collect();
        let place = &self.remarks.place;
        self.others.entry(kind).or_insert_with(|| (0, place.clone())).0 += 1;
        Ok(())
    }

    /// Notes that there is such a resource now. There must not be two of them.
    fn unique(&mut self, what: &'static str, namespace: Option<&str>, name: &str) -> Result<(), Fault> {
        let key = (what, namespace.map(str::to_owned), name.to_owned());
        if let Some(Place { file, document }) = self.seen.get(&key) {
            let what = if what == "address" { format!("its address {name}") } else { "it".to_owned() };
            return Err(Fault::general(format_args!(
                "{what} is there already, in {file}, document {document}"
            )));
        }
        self.seen.insert(key, self.remarks.place.clone());
        Ok(())
    }

    pub(super) fn add_tier(&mut self, tier: Tier) -> Result<(), Fault> {
        self.unique("tier", None, &tier.name)?;
        self.resources.tiers.push(tier);
        Ok(())
    }

    pub(super) fn add_policy(&mut self, policy: Policy) -> Result<(), Fault> {
        let what = if policy.staged.is_some() { "staged policy" } else { "policy" };
        short_enough(&policy.name)?;
        self.unique(what, policy.namespace.as_deref(), &format!("{}/{}", policy.tier, policy.name))?;
        self.resources.policies.push(policy);
        Ok(())
    }

    pub(super) fn add_profile(&mut self, profile: Profile) -> Result<(), Fault> {
        short_enough(&profile.name)?;
        self.unique("profile", None, &profile.name)?;
        self.resources.profiles.push(profile);
        Ok(())
    }

    pub(super) fn add_namespace(&mut self, namespace: Namespace) -> Result<(), Fault> {
        self.unique("namespace", None, &namespace.name)?;
        self.resources.namespaces.push(namespace);
        Ok(())
    }

    pub(super) fn add_endpoint(&mut self, endpoint: Endpoint) -> Result<(), Fault> {
        self.unique("endpoint", endpoint.namespace.as_deref(), &endpoint.name)?;
        for address in &endpoint.addresses {
            self.unique("address", None, &address.to_string())?;
        }
        self.resources.endpoints.push(endpoint);
        Ok(())
    }

    pub(super) fn add_service(&mut self, service: Service) -> Result<(), Fault> {
        self.unique("service", service.namespace.as_deref(), &service.name)?;
        self.resources.services.push(service);
        Ok(())
    }

    pub(super) fn add_network_set(&mut self, set: NetworkSet) -> Result<(), Fault> {
        self.unique("network set", set.namespace.as_deref(), &set.name)?;
        self.resources.network_sets.push(set);
        Ok(())
    }
}

/// What to do with a kind, and whether it lives in a namespace. An empty version stands for the right one.
fn family(group: &str, version: &str, kind: &str) -> Option<(Convert, bool)> {
    let of = |known: &str| version.is_empty() || version == known;
    match group {
        "" if of("v1") => kubernetes::core(kind),
        "networking.k8s.io" if of("v1") => kubernetes::networking(kind),
        "policy.networking.k8s.io" => kubernetes::policy(version, kind),
        _ => calico::family(group, version, kind),
    }
}

fn header(group: &str, root: &mut Fields<'_>) -> Result<Header, Fault> {
    let mut metadata = root.need("metadata")?.fields()?;
    let mut all = metadata.get("labels").map_or(Ok(Labels::default()), |at| labels(&at))?;
    if group == calico::STORED
        && let Some(at) = metadata.get("annotations")
        && let Some(stored) = at.fields()?.get(calico::STORED_METADATA)
    {
        stored_labels(&stored)?.iter().for_each(|(label, value)| all.insert(label, value));
    }
    let name = name_of(&metadata.need("name")?)?;
    let namespace = match metadata.get("namespace") {
        None => "default".to_owned(),
        Some(at) => {
            let namespace = name_of(&at)?;
            if namespace.len() > NAMESPACE_MAX {
                return Err(at.fault("the name is too long for a namespace"));
            }
            namespace
        }
    };
    Ok(Header { name, namespace, labels: all })
}

/// The labels in metadata that are kept as a text.
fn stored_labels(at: &At<'_>) -> Result<Labels, Fault> {
    let unreadable = |_| at.fault("it cannot be read");
    let Some(document) = yaml::documents(at.text()?).next() else { return Ok(Labels::default()) };
    let node = document.map_err(unreadable)?;
    At::root(&node).fields()?.get("labels").map_or(Ok(Labels::default()), |at| labels(&at))
}

/// Labels, each of which a selector can name.
pub(super) fn labels(at: &At<'_>) -> Result<Labels, Fault> {
    /// Of a label's name and of its value.
    const MAX: usize = 512;
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let labels: BTreeMap<String, String> = at.texts()?;
    for (label, value) in &labels {
        if label.is_empty() || label.len() > MAX || !label.chars().all(legal) {
            return Err(at.fault("the name of a label has 1 to 512 letters, digits, `-`, `_`, `.` and `/`"));
        }
        if value.len() > MAX || value.contains(char::is_control) {
            return Err(at.fault("the value of a label has at most 512 printable characters"));
        }
    }
    Ok(labels.into_iter().collect())
}

/// The most characters of a name, as in Kubernetes.
const NAME_MAX: usize = 253;
/// The most characters of the name of a namespace, which becomes that of a file.
const NAMESPACE_MAX: usize = 63;

/// The name of an object, wherever it is mentioned.
pub(super) fn name_of(at: &At<'_>) -> Result<String, Fault> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = at.text()?;
    if name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(legal)
    {
        return Ok(name.to_owned());
    }
    let shown: String = name.chars().take(64).collect();
    Err(at.fault(format_args!("`{}` cannot be a name", shown.escape_debug())))
}

/// That a name is not too long behind the prefix that it got.
fn short_enough(name: &str) -> Result<(), Fault> {
    if name.len() <= NAME_MAX {
        Ok(())
    } else {
        Err(Fault::general(format_args!("the name {name} is too long")))
    }
}
