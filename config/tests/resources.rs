//! Resources that are written as TOML are read as what they were.

use proptest::prelude::*;
use ravelin_config::parse;

mod support;

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(resources in support::resources()) {
        let text = toml::to_string(&resources).unwrap();
        let loaded = parse(&text, "t.toml").unwrap_or_else(|report| panic!("{report}\n{text}"));
        prop_assert_eq!(&loaded.config.resources, &resources, "{}", text);
    }
}
