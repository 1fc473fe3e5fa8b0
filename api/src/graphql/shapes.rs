//! What the schema says of fields, for what walks documents before they are validated.

use std::{collections::HashMap, sync::LazyLock};

use async_graphql::{
    Positioned,
    parser::{
        parse_schema,
        types::{FieldDefinition, TypeKind, TypeSystemDefinition},
    },
};

use super::roots;

/// What the schema says of a field.
#[derive(Debug)]
pub struct Shape {
    /// The name of its type, without list and non-null.
    pub of: String,
    /// Whether it returns a page, by its argument `first`.
    pub is_page: bool,
}

/// The fields of every object and interface, by type.
static SHAPES: LazyLock<HashMap<String, HashMap<String, Shape>>> = LazyLock::new(|| {
    let document = parse_schema(roots::schema().finish().sdl()).map(|document| document.definitions);
    let mut shapes = HashMap::new();
    for definition in document.unwrap_or_default() {
        let TypeSystemDefinition::Type(of) = definition else { continue };
        let fields = match of.node.kind {
            TypeKind::Object(object) => object.fields,
            TypeKind::Interface(interface) => interface.fields,
            TypeKind::Scalar | TypeKind::Union(_) | TypeKind::Enum(_) | TypeKind::InputObject(_) => continue,
        };
        let shape = |field: Positioned<FieldDefinition>| {
            let is_page = field.node.arguments.iter().any(|argument| argument.node.name.node == "first");
            let written = field.node.ty.node.to_string();
            let of = written.replace(['[', ']', '!'], "");
            (field.node.name.node.to_string(), Shape { of, is_page })
        };
        shapes.insert(of.node.name.node.to_string(), fields.into_iter().map(shape).collect());
    }
    shapes
});

/// What the schema says of a field of this type. `None` if it has no such field.
pub fn shape_of(on: &str, field: &str) -> Option<&'static Shape> {
    SHAPES.get(on)?.get(field)
}
