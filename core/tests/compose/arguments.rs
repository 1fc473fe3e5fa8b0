//! No value can add an argument.

use callboard::command::{CommandSpec, LineSpec};
use proptest::prelude::*;
use serde_json::json;

use crate::fixture::{Fixture, allowed, show_for};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn one_template_is_one_argument(value in "\\PC{0,40}|[ \"'\\\\\n\t{}%#;|&$()`-]{0,40}") {
        let line = LineSpec {
            line: "/usr/bin/echo --name {{ input.name }} --name={{input.name}} '{{ input.name }} x' end".into(),
            script: None,
        };
        let spec = line.parse(&allowed(), &|_| false).unwrap();
        prop_assert!(matches!(spec, CommandSpec::Program(_)));
        let mut fixture = Fixture::new();
        fixture.input = json!({ "name": value, "user": {"pin": "***"} });
        let services = fixture.services();
        let shown = show_for(spec, &fixture.full(&services)).unwrap();
        let expected = ["--name".into(), value.clone(), format!("--name={value}"), format!("{value} x"), "end".into()];
        prop_assert_eq!(shown.arguments, expected);
    }
}
