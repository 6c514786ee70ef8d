use super::{
    ProtocolMatch, Rule,
    homes::is_asked,
    list::{Check, DESTINATION_PORT, FIELDS, Item, OTHER, PROTOCOL, Record, SOURCE_PORT},
    sides::{Part, Role, Sides},
    signature::{Bit, Signatures},
    space::Space,
};

/// Makes items of rules.
pub(super) struct Items<'b, A> {
    pub(super) rules: &'b [Rule],
    pub(super) sides: &'b Sides<A>,
    signatures: [&'b Signatures; 2],
    shifts: [u32; 2],
}

impl<'b, A: Space> Items<'b, A> {
    pub(super) fn new(rules: &'b [Rule], sides: &'b Sides<A>, signatures: [&'b Signatures; 2]) -> Self {
        let bits = |intervals: usize| usize::BITS - intervals.saturating_sub(1).leading_zeros();
        let shifts = Role::BOTH.map(|role| bits(sides.role(role).starts.len()).saturating_sub(16));
        Self { rules, sides, signatures, shifts }
    }

    /// Bits to drop from the number of an interval of this role.
    pub(super) fn shift(&self, role: Role) -> u32 {
        let [source, destination] = self.shifts;
        match role {
            Role::Source => source,
            Role::Destination => destination,
        }
    }

    fn signatures(&self, role: Role) -> &Signatures {
        let [source, destination] = self.signatures;
        match role {
            Role::Source => source,
            Role::Destination => destination,
        }
    }

    /// The rule in a list that is found by its set in the role `home`, or by both.
    pub(super) fn item(&self, index: u32, home: Option<Role>) -> Option<Item> {
        let rule = self.rules.get(index as usize)?;
        let mut check = Check::intervals(0, u32::MAX);
        let mut fields = [(0, u16::MAX); FIELDS];
        if let Some(role) = home {
            let shift = self.shift(role.other());
            let sets = self.sides.role(role.other());
            if let Part::Set(set) = sets.part(index) {
                let intervals = sets.intervals(set);
                let (first, last) = (intervals.first()?.0, intervals.last()?.1);
                fields[OTHER] = ((first >> shift) as u16, (last >> shift) as u16);
                check = if intervals.len() == 1 {
                    Check::intervals(first, last)
                } else {
                    Check::rule(index, self.signatures(role.other()).bit(set))
                };
            }
        } else if Role::BOTH.iter().any(|role| is_asked(self.sides, *role, index)) {
            check = Check::rule(index, Bit::NONE);
        }
        fields[SOURCE_PORT] = (rule.source_ports.first(), rule.source_ports.last());
        fields[DESTINATION_PORT] = (rule.destination_ports.first(), rule.destination_ports.last());
        fields[PROTOCOL] = match rule.protocol {
            ProtocolMatch::Any => (0, u16::MAX),
            ProtocolMatch::Is(protocol) => (protocol.0.into(), protocol.0.into()),
            ProtocolMatch::Not(_) => {
                check = check.or_rule(index);
                (0, u16::MAX)
            }
        };
        Some(Item { fields, record: Record { found: rule.found(), check } })
    }

    /// The rules as a list.
    pub(super) fn items(&self, rules: &[u32], home: Option<Role>) -> Vec<Item> {
        rules.iter().filter_map(|rule| self.item(*rule, home)).collect()
    }
}
