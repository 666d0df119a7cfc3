//! JSON Schema and JSON Type Definition (RFC 8927).

use rquickjs::{Ctx, Exception, Object, Result, prelude::Func};
use serde_json::{Value as Json, json};

/// So many errors are told; a long list of the like helps nobody.
const ERRORS_MAX: usize = 100;
/// How deep references of a type definition may lead; the schema may refer to itself.
const JTD_DEPTH_MAX: usize = 64;

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("validateJsonSchema", Func::from(json_schema))?;
    natives.set("validateJsonTypeDef", Func::from(json_type_def))
}

/// Takes schema and value as JSON text, gives `{valid, errors: [{instancePath, schemaPath, message}]}` as text.
fn json_schema(ctx: Ctx<'_>, schema: String, value: String) -> Result<String> {
    let (schema, value) = (parse(&ctx, &schema)?, parse(&ctx, &value)?);
    let validator = jsonschema::validator_for(&schema)
        .map_err(|error| Exception::throw_type(&ctx, &format!("the JSON Schema is not valid: {error}")))?;
    let errors: Vec<Json> = validator
        .iter_errors(&value)
        .take(ERRORS_MAX)
        .map(|error| {
            json!({
                "instancePath": error.instance_path().to_string(),
                "schemaPath": error.schema_path().to_string(),
                "message": error.to_string(),
            })
        })
        .collect();
    Ok(json!({ "valid": errors.is_empty(), "errors": errors }).to_string())
}

/// Gives `{valid, errors: [{instancePath: […], schemaPath: […]}]}`.
fn json_type_def(ctx: Ctx<'_>, schema: String, value: String) -> Result<String> {
    let (schema, value) = (parse(&ctx, &schema)?, parse(&ctx, &value)?);
    let invalid = |error: String| Exception::throw_type(&ctx, &format!("the JSON Type Definition is not valid: {error}"));
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
    Ok(json!({ "valid": errors.is_empty(), "errors": errors }).to_string())
}

fn parse(ctx: &Ctx<'_>, text: &str) -> Result<Json> {
    serde_json::from_str(text).map_err(|error| Exception::throw_type(ctx, &format!("not JSON: {error}")))
}
