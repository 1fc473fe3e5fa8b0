//! Texts on their way to the store pass the one place that knows what Postgres takes.
//!
//! `query_rows!` does it for its columns. In statements with single values each text that is
//! written has to be an argument of one of [`FIT`]. Which arguments are texts is in the offline
//! data of sqlx.

use std::fs;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::sources::{SOURCES, root};

/// Functions whose values are fit to store: they replace what Postgres refuses, or give names of
/// our own.
const FIT: [&str; 5] = ["storable", "optional_storable", "storables", "to_json", "optional_json"];
/// Keys of gates, which are made of ids and of checked names.
const KEYS: [&str; 3] = ["& keys", "key", "key . to_string ()"];
/// Names of the variants of our own enums, each as a whole, because a text has an `as_str` too.
const VARIANTS: [&str; 5] = [
    "draft . spec . kind () . as_str ()",
    "health . status . as_str ()",
    "protocol . as_str ()",
    "role . as_str ()",
    "timing . overlap . as_str ()",
];
/// Statements with texts that were found when this test was written. Fewer means that it no longer
/// finds them.
const FOUND_MIN: usize = 12;

/// A statement of the offline data.
struct Statement {
    text: String,
    parameters: Vec<String>,
}

fn statements() -> Vec<Statement> {
    let folder = fs::read_dir(root().join(".sqlx")).unwrap();
    let statement = |entry: fs::DirEntry| {
        let data: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(entry.path()).unwrap()).unwrap();
        let parameters = data["describe"]["parameters"]["Left"].as_array().cloned().unwrap_or_default();
        let name = |each: &serde_json::Value| each.as_str().unwrap_or_default().to_owned();
        Statement {
            text: squeezed(data["query"].as_str().unwrap()),
            parameters: parameters.iter().map(name).collect(),
        }
    };
    folder.map(|entry| statement(entry.unwrap())).collect()
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn writes(statement: &Statement) -> bool {
    ["INSERT INTO", "UPDATE "].iter().any(|word| statement.text.contains(word))
}

/// Calls `found` with the arguments of every macro that may hold a statement, also within macros.
fn visit(tokens: TokenStream, found: &mut impl FnMut(TokenStream)) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    for (index, tree) in trees.iter().enumerate() {
        let TokenTree::Group(group) = tree else { continue };
        if index >= 2
            && matches!(&trees[index - 1], TokenTree::Punct(mark) if mark.as_char() == '!')
            && matches!(&trees[index - 2], TokenTree::Ident(name) if is_statement(&name.to_string()))
        {
            found(group.stream());
        }
        visit(group.stream(), found);
    }
}

/// Whether the tokens hold a fragment of a macro's definition, such as `$rows`.
fn has_fragment(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|tree| match tree {
        TokenTree::Punct(mark) => mark.as_char() == '$',
        TokenTree::Group(group) => has_fragment(group.stream()),
        TokenTree::Ident(_) | TokenTree::Literal(_) => false,
    })
}

fn is_statement(name: &str) -> bool {
    name != "query_rows" && (name.starts_with("query") || name.ends_with("_rows"))
}

/// The literals and the arguments of a statement. What begins with a literal, a bracket or a
/// fragment belongs to its text.
fn parts(tokens: TokenStream) -> (Vec<String>, Vec<TokenStream>) {
    let trees: Vec<TokenTree> = tokens.into_iter().collect();
    let is_comma = |tree: &TokenTree| matches!(tree, TokenTree::Punct(mark) if mark.as_char() == ',');
    let (mut literals, mut arguments) = (Vec::new(), Vec::new());
    for part in trees.split(is_comma).filter(|part| !part.is_empty()) {
        let texts: Vec<String> = part.iter().flat_map(texts_of).collect();
        let is_text = match &part[0] {
            TokenTree::Literal(literal) => literal.to_string().contains('"'),
            TokenTree::Group(group) => group.delimiter() == Delimiter::Bracket,
            TokenTree::Ident(_) | TokenTree::Punct(_) => {
                !texts.is_empty()
                    && part
                        .iter()
                        .any(|tree| matches!(tree, TokenTree::Punct(mark) if "+:".contains(mark.as_char())))
            }
        };
        // Unlike a constant, which is an argument.
        let is_type =
            |name: &str| name.starts_with(char::is_uppercase) && name.contains(|c: char| c.is_lowercase());
        let is_row_type =
            part.len() == 1 && matches!(&part[0], TokenTree::Ident(name) if is_type(&name.to_string()));
        if is_text {
            literals.extend(texts);
        } else if !is_row_type {
            arguments.push(part.iter().cloned().collect());
        }
    }
    (literals, arguments)
}

/// The texts of the literals in a tree.
fn texts_of(tree: &TokenTree) -> Vec<String> {
    match tree {
        TokenTree::Literal(literal) => match syn::parse_str::<syn::LitStr>(&literal.to_string()) {
            Ok(text) => vec![squeezed(&text.value())],
            Err(_) => Vec::new(),
        },
        TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
            group.stream().into_iter().flat_map(|tree| texts_of(&tree)).collect()
        }
        TokenTree::Group(_) | TokenTree::Ident(_) | TokenTree::Punct(_) => Vec::new(),
    }
}

#[test]
fn texts_are_made_fit_before_they_are_stored() {
    let (statements, mut found, mut broken) = (statements(), 0, Vec::new());
    for (path, source) in SOURCES.iter().filter(|(path, _)| path.starts_with("core/src/store/")) {
        visit(source.parse().unwrap(), &mut |tokens| {
            // The definition of a macro with a statement. Its uses are visited.
            if has_fragment(tokens.clone()) {
                return;
            }
            let (literals, arguments) = parts(tokens);
            let is_it = |statement: &&Statement| {
                statement.parameters.len() == arguments.len()
                    && literals.iter().all(|literal| statement.text.contains(literal))
            };
            let matching: Vec<&Statement> = statements.iter().filter(is_it).collect();
            if matching.is_empty() {
                broken.push(format!("{path}: no statement is known for {:.80}", literals.join(" ")));
            }
            let Some(statement) = matching.into_iter().find(|each| writes(each)) else { return };
            for (parameter, argument) in statement.parameters.iter().zip(&arguments) {
                if !matches!(parameter.as_str(), "Text" | "TextArray" | "Jsonb" | "Varchar") {
                    continue;
                }
                found += 1;
                let argument = argument.to_string();
                let is_fit = FIT.iter().any(|fit| argument.contains(&format!("{fit} (")));
                if !is_fit && !KEYS.iter().chain(&VARIANTS).any(|own| *own == argument) {
                    broken.push(format!("{path}: `{argument}` of {:.60}", statement.text));
                }
            }
        });
    }
    assert!(found >= FOUND_MIN, "only {found} texts were found");
    super::expect_none("texts that are written pass store/columns.rs", &broken);
}
