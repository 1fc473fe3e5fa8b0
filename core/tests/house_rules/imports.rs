//! Which rooms a file imports: by its `use` trees, and by the paths that it writes out in full.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::sources::{PACKAGES, is_root, module, modules_of, parent, parse, room};

/// The rooms that a file imports from, its own left out.
///
/// What a folder's own file passes on of its folder (`pub use run::claim`) is its front door, and
/// no import.
pub(crate) fn rooms_imported(file: &str) -> BTreeSet<String> {
    let mut imports = Imports::of(file);
    imports.rooms.remove(&room(file));
    imports.rooms
}

/// The first segment of every path of a file: `sqlx`, `crate`, `std`.
pub(crate) fn roots(file: &str) -> BTreeSet<String> {
    Imports::of(file).roots
}

struct Imports<'a> {
    file: &'a str,
    /// How many modules of this very file are around.
    depth: usize,
    /// Names that `use` has brought in, with the paths that they stand for.
    names: BTreeMap<String, Vec<String>>,
    rooms: BTreeSet<String>,
    roots: BTreeSet<String>,
}

impl<'a> Imports<'a> {
    fn of(file: &'a str) -> Self {
        let (rooms, roots) = (BTreeSet::new(), BTreeSet::new());
        let mut imports = Imports { file, depth: 0, names: BTreeMap::new(), rooms, roots };
        imports.visit_file(&parse(file));
        imports
    }

    fn add(&mut self, path: &[String]) {
        self.roots.extend(path.first().cloned());
        if let Some(file) = self.resolve(path) {
            self.rooms.insert(room(&file));
        }
    }

    /// The file of the innermost module that a path names.
    fn resolve(&self, path: &[String]) -> Option<String> {
        let package = |name: &str| PACKAGES.iter().find(|(_, crate_name)| *crate_name == name);
        let (first, mut rest) = path.split_first()?;
        if let Some(named) = self.names.get(first).filter(|named| named[0] != *first) {
            return self.resolve(&[named, rest].concat());
        }
        let mut file = match first.as_str() {
            "crate" => self.crate_root(),
            "self" => self.file.to_owned(),
            "super" => {
                let mut file = self.file.to_owned();
                let mut up = 1 + rest.iter().take_while(|segment| *segment == "super").count();
                rest = &rest[up - 1..];
                up -= up.min(self.depth);
                for _ in 0..up {
                    file = parent(&file)?;
                }
                file
            }
            name => match package(name) {
                Some((folder, _)) => format!("{folder}/src/lib.rs"),
                None => module(modules_of(self.file), name)?,
            },
        };
        for segment in rest {
            match module(modules_of(&file), segment) {
                Some(inner) => file = inner,
                None => break,
            }
        }
        Some(file)
    }

    fn crate_root(&self) -> String {
        let mut file = self.file.to_owned();
        while !is_root(&file) {
            file = parent(&file).unwrap();
        }
        file
    }

    fn add_tree(&mut self, tree: &syn::UseTree, before: &mut Vec<String>) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.add_tree(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Group(group) => group.items.iter().for_each(|item| self.add_tree(item, before)),
            syn::UseTree::Name(syn::UseName { ident }) => self.add_name(ident, ident, before),
            syn::UseTree::Rename(syn::UseRename { ident, rename, .. }) => {
                self.add_name(ident, rename, before);
            }
            syn::UseTree::Glob(_) => self.add(before),
        }
    }

    fn add_name(&mut self, ident: &syn::Ident, name: &syn::Ident, before: &[String]) {
        let mut path = before.to_vec();
        if ident != "self" {
            path.push(ident.to_string());
        }
        self.add(&path);
        let name = if name == "self" { path.last().cloned() } else { Some(name.to_string()) };
        self.names.extend(name.map(|name| (name, path)));
    }

    /// Paths in the arguments of macros, which are tokens only.
    fn add_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.add_absolute(&std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                TokenTree::Group(group) => self.add_tokens(group.stream()),
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.add_absolute(&std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.add_absolute(&path);
    }

    fn add_absolute(&mut self, path: &[String]) {
        if path.len() > 1 {
            self.add(path);
        }
    }
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let before = self.rooms.clone();
        self.add_tree(&item.tree, &mut Vec::new());
        if !matches!(item.vis, syn::Visibility::Inherited) {
            let inside = format!("{}/", room(self.file));
            self.rooms.retain(|room| before.contains(room) || !room.starts_with(&inside));
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.add(&path.segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>());
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.add_tokens(item.tokens.clone());
        visit::visit_macro(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.depth -= 1;
    }
}
