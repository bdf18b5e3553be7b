//! The shapes of bodies, from the types that read and write them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::bounds;

const PLACE: &str = "#/components/schemas/";

/// Gathers the shapes that the operations name.
#[derive(Debug)]
pub struct Schemas {
    /// Of answers: every field is there.
    given: SchemaGenerator,
    /// Of bodies and queries: fields may be absent, unknown ones are refused.
    taken: SchemaGenerator,
    /// Nouns of lists by the shapes of their rows.
    lists: BTreeMap<String, &'static str>,
}

impl Schemas {
    /// None yet.
    pub fn new() -> Schemas {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.meta_schema = None;
            settings.definitions_path = PLACE.trim_start_matches('#').into();
        });
        Schemas {
            given: settings.clone().for_serialize().into_generator(),
            taken: settings.for_deserialize().into_generator(),
            lists: BTreeMap::new(),
        }
    }

    /// A type as it is answered.
    pub fn given<T: JsonSchema>(&mut self) -> Value {
        self.given.subschema_for::<T>().to_value()
    }

    /// A type as it is read.
    pub fn taken<T: JsonSchema>(&mut self) -> Value {
        self.taken.subschema_for::<T>().to_value()
    }

    /// A change `U` of a `T`: what is never `null` in the answer cannot be cleared.
    pub fn change<T: JsonSchema, U: JsonSchema>(&mut self) -> Value {
        let answer = self.resolve(Schemas::given::<T>);
        let change = self.taken::<U>();
        let shape = self.taken.definitions_mut().get_mut(&*U::schema_name());
        let fields = shape.and_then(|shape| shape["properties"].as_object_mut()).into_iter().flatten();
        for (name, field) in fields {
            if !takes_null(&answer["properties"][name]) {
                refuse_null(field);
            }
        }
        change
    }

    /// A page of a list: `{"<noun>": […], "next_cursor"}`.
    pub fn list<T: JsonSchema>(&mut self, noun: &'static str) -> Value {
        self.given.subschema_for::<T>();
        let name = T::schema_name().into_owned();
        let place = json!({"$ref": format!("{PLACE}{name}List")});
        self.lists.insert(name, noun);
        place
    }

    /// The fields of a query, and which of them are needed.
    pub fn query(&mut self, of: fn(&mut Schemas) -> Value) -> (Map<String, Value>, Vec<Value>) {
        let mut shape = self.resolve(of);
        bounds::apply(&mut shape);
        let mut fields = shape["properties"].as_object().cloned().unwrap_or_default();
        fields.values_mut().for_each(refuse_null);
        (fields, shape["required"].as_array().cloned().unwrap_or_default())
    }

    /// The shape itself instead of its place.
    pub fn resolve(&mut self, of: fn(&mut Schemas) -> Value) -> Value {
        let shape = of(self);
        let Some(name) = shape["$ref"].as_str().map(|place| place.trim_start_matches(PLACE).to_owned()) else {
            return shape;
        };
        let found = self.given.definitions().get(&name).or_else(|| self.taken.definitions().get(&name));
        found.cloned().unwrap_or(shape)
    }

    /// All shapes by name, with these examples.
    pub fn write(mut self, examples: &Map<String, Value>) -> Map<String, Value> {
        let mut taken = self.taken.take_definitions(true);
        // Written out as parameters.
        taken.retain(|name, _| !name.ends_with("Query"));
        taken.values_mut().for_each(bounds::apply);
        let mut all = self.given.take_definitions(true);
        all.extend(taken);
        for (name, shape) in &mut all {
            if let Some(examples) = examples.get(name) {
                shape["examples"] = examples.clone();
            }
        }
        for (name, noun) in self.lists {
            let rows = examples.get(&name).cloned().unwrap_or_default();
            all.insert(
                format!("{name}List"),
                json!({
                    "type": "object",
                    "required": [noun, "next_cursor"],
                    "properties": {
                        noun: {"type": "array", "items": {"$ref": format!("{PLACE}{name}")}},
                        "next_cursor": {
                            "type": ["string", "null"], "description": "Cursor of the next page; `null` on the last.",
                        },
                    },
                    "examples": [{noun: rows, "next_cursor": null}],
                }),
            );
        }
        all.sort_keys();
        all
    }
}

fn takes_null(field: &Value) -> bool {
    match &field["type"] {
        Value::Array(types) => types.iter().any(|kind| kind == "null"),
        kind if kind == "null" => true,
        _ => field["anyOf"].as_array().is_some_and(|shapes| shapes.iter().any(takes_null)),
    }
}

fn refuse_null(field: &mut Value) {
    let Some(field) = field.as_object_mut() else { return };
    if let Some(Value::Array(types)) = field.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [only] = &types[..] {
            let only = only.clone();
            field.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(shapes)) = field.get_mut("anyOf") {
        shapes.retain(|shape| !takes_null(shape));
        if let [Value::Object(only)] = &shapes[..] {
            let only = only.clone();
            field.remove("anyOf");
            field.extend(only);
        }
    }
}
