//! The API's document (OpenAPI 3.1), made of the descriptions of its routes.

use crate::about::{About, Media, Operation};
use serde_json::Value;
use utoipa::openapi::content::Content;
use utoipa::openapi::path::{OperationBuilder, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ComponentsBuilder, InfoBuilder, OpenApiBuilder, Paths, RefOr, Required, Schema};

/// What the parameters of paths are.
const PARAMETERS: [(&str, &str); 6] = [
    ("name", "The name of the thing."),
    ("verb", "What to do: pause, resume, restart, rollback or reset."),
    ("id", "The id of a schema."),
    ("subject", "The subject: by habit a topic's name and `-value` or `-key`."),
    ("version", "A version's number, or `latest`."),
    ("bus", "The name of the bus."),
];

/// The document of these operations, as JSON.
pub fn document(operations: &[Operation]) -> Value {
    let mut paths = Paths::new();
    let mut components = ComponentsBuilder::new();
    for Operation { method, path, about } in operations {
        components = components.schemas_from_iter(about.schemas.iter().cloned());
        paths.add_path_operation(path, vec![method.clone()], operation(path, about));
    }
    let about = "The API of a Millstream node. Errors are `{\"error\": {\"kind\", \"message\"}}`; those of the schema registry's paths \
                 `{\"error_code\", \"message\"}`.";
    let info = InfoBuilder::new().title("Millstream").version(env!("CARGO_PKG_VERSION")).description(Some(about));
    let document = OpenApiBuilder::new().info(info.build()).paths(paths).components(Some(components.build())).build();
    serde_json::to_value(document).unwrap_or_default()
}

fn operation(path: &str, about: &About) -> OperationBuilder {
    let of_path = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let queries = about.queries.iter().map(|(name, says)| parameter(name, says, ParameterIn::Query));
    let parameters: Vec<Parameter> = of_path.map(path_parameter).chain(queries).collect();
    let mut success = ResponseBuilder::new().description(success(about.status));
    if let Some(answer) = &about.answer {
        success = success.content(answer.content_type, content(answer));
    }
    let request = about
        .request
        .as_ref()
        .map(|body| RequestBodyBuilder::new().required(Some(Required::True)).content(body.content_type, content(body)));
    OperationBuilder::new()
        .tag(tag(path))
        .summary(Some(about.summary.as_str()))
        .parameters((!parameters.is_empty()).then_some(parameters))
        .request_body(request.map(RequestBodyBuilder::build))
        .response(about.status.to_string(), success.build())
        .response("default", refusal(path))
}

const fn success(status: u16) -> &'static str {
    match status {
        201 => "It was made.",
        202 => "It was accepted.",
        204 => "It was done; there is nothing to say of it.",
        _ => "The answer.",
    }
}

fn content(media: &Media) -> Content {
    let mut content = Content::new(Some(media.schema.clone()));
    content.example = Some(media.example.clone());
    content
}

fn path_parameter(name: &str) -> Parameter {
    let says = PARAMETERS.iter().find(|(known, _)| *known == name).map_or("", |(_, says)| says);
    parameter(name, says, ParameterIn::Path)
}

fn parameter(name: &str, says: &str, place: ParameterIn) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    let parameter = ParameterBuilder::new().name(name).parameter_in(place).required(required);
    parameter.description(Some(says)).schema(Some(of(Type::String))).build()
}

/// The group of a path: the word after `/v1`, or the registry, or the node itself.
fn tag(path: &str) -> &str {
    let mut parts = path.split('/').skip(1);
    match (parts.next(), parts.next()) {
        (Some("v1"), Some(word)) => word,
        _ if is_registry(path) => "schema registry",
        _ => "node",
    }
}

fn is_registry(path: &str) -> bool {
    ["/subjects", "/schemas", "/compatibility", "/config", "/mode"].iter().any(|start| path.starts_with(start))
}

fn refusal(path: &str) -> Response {
    let object = || ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object));
    let (schema, example) = if is_registry(path) {
        let schema = object().property("error_code", of(Type::Integer)).property("message", of(Type::String));
        (schema, serde_json::json!({"error_code": 40401, "message": "there is no subject \"orders-value\""}))
    } else {
        let error = object().property("kind", of(Type::String)).property("message", of(Type::String));
        (
            object().property("error", error),
            serde_json::json!({"error": {"kind": "not_found", "message": "there is no topic \"orders\""}}),
        )
    };
    let mut content = Content::new(Some(RefOr::<Schema>::from(schema)));
    content.example = Some(example);
    ResponseBuilder::new().description("Why not.").content("application/json", content).build()
}

fn of(kind: Type) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(kind)).into()
}
