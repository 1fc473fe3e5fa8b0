//! Names that people would take for one another.

use unicode_normalization::UnicodeNormalization as _;

use super::normal_form;

/// Whether two names differ at most in upper and lower case, in the number of blanks, or in the
/// width or style of their characters. For names that say who somebody is. Others may differ in
/// that.
pub fn are_alike(one: &str, other: &str) -> bool {
    one == other || skeleton(one) == skeleton(other)
}

/// What is the same of all names that are alike. Upper case comes first, because some letters (`ß`,
/// `ς`, `ﬁ`) have several lower forms and one upper form.
fn skeleton(name: &str) -> String {
    let plain: String = normal_form(name).nfkc().collect();
    let folded = plain.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).nfkc();
    folded.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_alike_that_differ_in_case_blanks_or_form() {
        for (one, other) in [
            ("ada", "Ada"),
            ("ada", "ADA"),
            ("ada lovelace", "ada  lovelace"),
            ("ada lovelace", " Ada\u{a0}Lovelace "),
            ("JÖRG", "jörg"),
            ("jo\u{308}rg", "JÖRG"),
            ("STRASSE", "straße"),
            ("ΟΔΟΣ", "οδος"),
            ("ＡＤＡ", "ada"),
            ("ﬁn", "FIN"),
            ("\u{212a}", "k"),
        ] {
            assert!(are_alike(one, other) && are_alike(other, one), "{one:?} {other:?}");
        }
        for (one, other) in
            [("ada", "adam"), ("ada", "a da"), ("ci-1", "ci-2"), ("ci", "ci."), ("é", "e"), ("日", "本")]
        {
            assert!(!are_alike(one, other), "{one:?} {other:?}");
        }
    }

    proptest! {
        #[test]
        fn blanks_make_no_other_name(name in "\\PC{0,20}( \\PC{0,20})?") {
            for other in [name.clone(), format!("  {name}  "), name.replace(' ', "   ")] {
                prop_assert!(are_alike(&name, &other), "{:?}", other);
            }
        }

        #[test]
        fn case_makes_no_other_name(name in "[a-zA-Z0-9äöüßéñøæа-яЁα-ως ._-]{0,30}") {
            for other in [name.to_uppercase(), name.to_lowercase(), name.to_uppercase().to_lowercase()] {
                prop_assert!(are_alike(&name, &other), "{:?}", other);
            }
        }
    }
}
