use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::http::request::parse_object;
use crate::http::users::UpdateUser;
use crate::store::devices::UpdateDevice;
use crate::store::sites::UpdateSite;

/// Method, path and handler of everything that is routed, pages left out.
fn routed() -> BTreeSet<(String, String, String)> {
    let code = include_str!("../mod.rs");
    let dense: String = code.split_whitespace().collect();
    let (api, rest) = dense.split_once("letapi=").and_then(|(_, code)| code.split_once("letpages=")).unwrap();
    let mut found = BTreeSet::new();
    for (code, prefix) in [(api, "/api/v1"), (rest, "")] {
        for route in code.split(".route(\"").skip(1) {
            let (path, handlers) = route.split_once("\",").unwrap();
            for method in ["get", "post", "put", "delete", "patch"] {
                for (at, call) in handlers.match_indices(&format!("{method}(")) {
                    let name = &handlers[at + call.len()..];
                    let name = &name[..name.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap()];
                    let begins = !handlers[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
                    if let Some((_, handler)) = name
                        .rsplit_once("::")
                        .filter(|(module, _)| begins && !["page", "assets", "docs"].contains(module))
                    {
                        found.insert((method.to_owned(), format!("{prefix}{path}"), handler.to_owned()));
                    }
                }
            }
        }
    }
    found
}

#[test]
fn the_document_has_every_endpoint_of_the_router_under_its_handlers_name_and_no_others() {
    let document = document();
    let mut told = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            told.insert((method.clone(), path.clone(), id.to_owned()));
        }
    }
    let routed = routed();
    assert!(routed.len() > 40, "{routed:?}");
    assert_eq!(routed.difference(&told).collect::<Vec<_>>(), Vec::<&_>::new(), "routed, not told");
    assert_eq!(told.difference(&routed).collect::<Vec<_>>(), Vec::<&_>::new(), "told, not routed");
    let ids: BTreeSet<_> = told.iter().map(|(_, _, id)| id).collect();
    assert_eq!(ids.len(), told.len(), "no name stands twice");
}

#[test]
fn every_reference_leads_to_something_and_every_shape_is_referred_to() {
    let document = document();
    let text = document.to_string();
    let places: BTreeSet<&str> =
        text.split("{\"$ref\":\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for place in &places {
        assert!(document.pointer(place).is_some(), "{place}");
    }
    for shape in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(places.contains(format!("/components/schemas/{shape}").as_str()), "nothing refers to {shape}");
    }
}

/// A shape with all that it refers to.
fn validator(document: &Value, shape: &Value) -> jsonschema::Validator {
    let mut shape = shape.clone();
    shape["components"] = document["components"].clone();
    jsonschema::draft202012::options().should_validate_formats(true).build(&shape).unwrap()
}

#[test]
fn every_body_and_answer_has_an_example_and_examples_have_their_shapes() {
    let document = document();
    let shapes = document["components"]["schemas"].as_object().unwrap();
    assert!(examples().keys().all(|name| shapes.contains_key(name)));
    for (name, shape) in shapes {
        let validator = validator(&document, shape);
        for example in shape["examples"].as_array().into_iter().flatten() {
            let mistakes: Vec<_> = validator.iter_errors(example).map(|error| error.to_string()).collect();
            assert!(mistakes.is_empty(), "{name}: {mistakes:?}");
        }
    }
    for refusal in document["components"]["responses"].as_object().unwrap().values() {
        let json = &refusal["content"]["application/json"];
        assert!(validator(&document, &json["schema"]).is_valid(&json["example"]), "{refusal}");
    }
    for operation in document["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values())
    {
        let body = operation.get("requestBody");
        let answers = operation["responses"].as_object().unwrap().iter();
        let answers = answers.filter(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer);
        for part in body.into_iter().chain(answers) {
            let Some(place) = part["content"]["application/json"]["schema"]["$ref"].as_str() else { continue };
            let name = place.rsplit('/').next().unwrap();
            assert!(shapes[name]["examples"].is_array(), "{} has no example of {name}", operation["operationId"]);
        }
    }
}

/// Of every field, whether the document lets it be `null` and whether the program does.
fn check_nulls<T: DeserializeOwned>(name: &str) {
    let document = document();
    let shape = &document["components"]["schemas"][name];
    let validator = validator(&document, shape);
    for field in shape["properties"].as_object().unwrap().keys() {
        let change = json!({field: null});
        let taken = parse_object::<T>(change.to_string().as_bytes()).is_ok();
        assert_eq!(validator.is_valid(&change), taken, "{name}.{field}");
    }
}

#[test]
fn a_change_clears_by_null_what_the_document_says() {
    check_nulls::<UpdateSite>("UpdateSite");
    check_nulls::<UpdateDevice>("UpdateDevice");
    check_nulls::<UpdateUser>("UpdateUser");
}
