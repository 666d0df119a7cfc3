//! JSON Schema and JSON Type Definition (RFC 8927).

use rquickjs::{Ctx, Exception, Object, Result, prelude::Func};
use serde::Serialize;
use serde_json::{Value as Json, json};

/// So many errors are told; a long list of the like helps nobody.
const ERRORS_MAX: usize = 100;
/// How deep references of a type definition may lead; the schema may refer to itself.
const JTD_DEPTH_MAX: usize = 64;

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("validateJsonSchema", Func::from(json_schema))?;
    natives.set("validateJsonTypeDef", Func::from(json_type_def))
}

#[derive(Serialize)]
struct Verdict {
    valid: bool,
    errors: Vec<Json>,
}

impl Verdict {
    fn text(errors: Vec<Json>) -> String {
        serde_json::to_string(&Verdict { valid: errors.is_empty(), errors }).unwrap_or_default()
    }
}

/// Where a schema without an `$id` stands. Nothing is ever loaded from anywhere.
const SCHEMA_URL: &str = "mem:///schema";

/// Takes schema and value as JSON text, gives `{valid, errors: [{instancePath, schemaPath, message}]}` as text.
fn json_schema(ctx: Ctx<'_>, schema: String, value: String) -> Result<String> {
    let (schema, value) = (parse(&ctx, &schema)?, parse(&ctx, &value)?);
    let mut schemas = boon::Schemas::new();
    let mut compiler = boon::Compiler::new();
    let compiled = compiler
        .add_resource(SCHEMA_URL, schema)
        .and_then(|()| compiler.compile(SCHEMA_URL, &mut schemas))
        .map_err(|error| Exception::throw_type(&ctx, &format!("the JSON Schema is not valid: {error:#}")))?;
    let errors = match schemas.validate(&value, compiled) {
        Ok(()) => Vec::new(),
        Err(error) => units(&error.basic_output()),
    };
    Ok(Verdict::text(errors))
}

/// The flat list of the specification's `Basic` output.
fn units(output: &boon::OutputUnit) -> Vec<Json> {
    match &output.error {
        boon::OutputError::Branch(units) => units.iter().take(ERRORS_MAX).flat_map(self::units).collect(),
        boon::OutputError::Leaf(kind) => vec![json!({
            "instancePath": output.instance_location.to_string(),
            "schemaPath": output.keyword_location,
            "message": kind.to_string(),
        })],
    }
}

/// Gives `{valid, errors: [{instancePath: […], schemaPath: […]}]}`.
fn json_type_def(ctx: Ctx<'_>, schema: String, value: String) -> Result<String> {
    let (schema, value) = (parse(&ctx, &schema)?, parse(&ctx, &value)?);
    let invalid =
        |error: String| Exception::throw_type(&ctx, &format!("the JSON Type Definition is not valid: {error}"));
    let schema: jtd::SerdeSchema = serde_json::from_value(schema).map_err(|error| invalid(error.to_string()))?;
    let schema = jtd::Schema::from_serde_schema(schema).map_err(|error| invalid(error.to_string()))?;
    schema.validate().map_err(|error| invalid(error.to_string()))?;
    let options = jtd::ValidateOptions::new().with_max_depth(JTD_DEPTH_MAX).with_max_errors(ERRORS_MAX);
    let errors = jtd::validate(&schema, &value, options)
        .map_err(|error| Exception::throw_range(&ctx, &format!("the value cannot be checked: {error}")))?;
    let errors: Vec<Json> = errors
        .iter()
        .map(|error| json!({ "instancePath": error.instance_path, "schemaPath": error.schema_path }))
        .collect();
    Ok(Verdict::text(errors))
}

fn parse(ctx: &Ctx<'_>, text: &str) -> Result<Json> {
    serde_json::from_str(text).map_err(|error| Exception::throw_type(ctx, &format!("not JSON: {error}")))
}
