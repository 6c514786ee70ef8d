//! Zones that rules name.

use crate::model::{EntityModel, Lists};
use crate::report::{Code, Findings};
use crate::schema::reader::{At, Field, nearest};
use crate::types::IfName;
use std::collections::BTreeSet;

/// Reports zones in which there is no interface.
pub(super) fn check(lists: &Lists, findings: &mut Findings) {
    // What could not be read may have been the one that is meant.
    if lists.zones().any(Field::is_unusable) {
        return;
    }
    let zones: BTreeSet<&str> = lists.zones().filter_map(Field::value).map(IfName::as_str).collect();
    let policies = lists.policies.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
    let profiles = lists.profiles.iter().flat_map(|profile| profile.ingress.iter().chain(&profile.egress));
    let entities = policies.chain(profiles).flat_map(|rule| [&rule.source, &rule.destination]);
    for name in entities.flatten().flat_map(|entity| named(entity)) {
        if !zones.contains(name.value.as_str()) {
            unknown(name, &zones, findings);
        }
    }
}

fn named(entity: &EntityModel) -> impl Iterator<Item = &At<IfName>> {
    [&entity.zones, &entity.not_zones].into_iter().filter_map(Field::given).flat_map(|names| &names.value)
}

fn unknown(name: &At<IfName>, zones: &BTreeSet<&str>, findings: &mut Findings) {
    let message = format!("no interface is in a zone `{}`", name.value);
    let finding = findings.add(Code::UnknownZone, &name.range, message);
    if let Some(nearest) = nearest(name.value.as_str(), zones.iter().copied()) {
        finding.label(format!("did you mean `{nearest}`?"));
    } else if zones.is_empty() {
        finding.help("neither [[interface]] nor [[wireguard]] says `zone`");
    } else {
        let zones: Vec<_> = zones.iter().map(|zone| format!("`{zone}`")).collect();
        finding.help(format!("the zones of interfaces are {}", zones.join(", ")));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{config, found, one, report};
    use crate::{Code, types::IfName};

    /// Interfaces in the zones `inside` and `outside`, before a policy whose rule begins in line 12.
    fn zoned(keys: &str) -> String {
        let interfaces = "[[interface]]\nname = 'a'\nmode = 'route'\nzone = 'inside'\n\
            [[interface]]\nname = 'b'\nmode = 'monitor'\nzone = 'outside'\n";
        format!("{interfaces}[[policy]]\nname = 'p'\n[[policy.egress]]\n{keys}\n")
    }

    #[test]
    fn zones_are_those_of_interfaces() {
        let rule =
            "action = 'allow', source.zones = ['inside'], destination.not_zones = ['inside', 'outside']";
        let config =
            config(&zoned(&rule.replace(", ", "\n").replace("'inside'\n'outside'", "'inside', 'outside'")));
        let egress = &config.resources.policies[0].egress[0];
        let names = |zones: &[IfName]| zones.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(&egress.source.zones), ["inside"]);
        assert_eq!(names(&egress.destination.not_zones), ["inside", "outside"]);
        assert!(!egress.source.is_any());
        assert_eq!(
            config.zones().into_iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["inside", "outside"]
        );

        let wrong = |key: &str| zoned(&format!("action = 'allow'\n{key}"));
        let text = wrong("source.zones = ['inside', 'insid']");
        assert_eq!(found(&text), one(Code::UnknownZone, 13, "'insid'"));
        assert_eq!(report(&text).diagnostics()[0].label.as_deref(), Some("did you mean `inside`?"));
        let text = wrong("destination.not_zones = ['dmz']");
        assert_eq!(found(&text), one(Code::UnknownZone, 13, "'dmz'"));
        assert_eq!(report(&text).diagnostics()[0].message, "no interface is in a zone `dmz`");
        let help = |text: &str| report(text).diagnostics()[0].help.clone();
        assert_eq!(help(&text).as_deref(), Some("the zones of interfaces are `inside`, `outside`"));
        let text = rule_of_profile("source.zones = ['a']");
        assert_eq!(found(&text), one(Code::UnknownZone, 5, "'a'"));
        assert_eq!(help(&text).as_deref(), Some("neither [[interface]] nor [[wireguard]] says `zone`"));
        assert_eq!(found(&wrong("source.zones = []")), one(Code::EmptyList, 13, "[]"));
        assert_eq!(found(&wrong("source.zones = ['a zone that is far too long']")).len(), 1);
        // One mistake is one finding.
        let text =
            zoned("action = 'allow'\nsource.zones = ['inside']").replace("zone = 'inside'", "zone = 7");
        assert_eq!(found(&text), one(Code::WrongType, 4, "7"));
    }

    fn rule_of_profile(keys: &str) -> String {
        format!("[[profile]]\nname = 'p'\n[[profile.ingress]]\naction = 'allow'\n{keys}\n")
    }

    #[test]
    fn there_are_at_most_62_zones() {
        let interfaces = |count: usize| -> String {
            let one = |n: usize| {
                format!("[[interface]]\nname = 'a{n}'\nmode = 'route'\nzone = 'z{}'\n", n.min(count - 1))
            };
            (0..count + 1).map(one).collect()
        };
        assert_eq!(found(&interfaces(62)), []);
        assert_eq!(found(&interfaces(63)), one(Code::TooLarge, 62 * 4 + 4, "'z62'"));
    }
}
