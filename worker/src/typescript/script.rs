//! From the script of a job to a module whose query runs it.
//!
//! A script is the body of an async function of `input`, or a body that declares `main(input)`, or one expression; when
//! that is a function, it is called. What is pasted together here was parsed on its own, so nothing in it can end the
//! function that it is put into.

use std::path::PathBuf;

use oxc_allocator::Allocator;
use oxc_ast::{
    ast::{Declaration, Program, Statement},
    builder::AstBuilder,
};
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc_parser::{ParseOptions, Parser};
use oxc_span::{GetSpan, SourceType};
use rules::call::Error;

use super::{FILE_NAME, Module, Places, names_of, refuse_first, refuse_large, syntax_error};

/// What a job's script is called in its stack traces.
pub const SCRIPT_NAME: &str = "job.js";
/// What a script of several statements may declare, to be called with the input.
const MAIN: &str = "main";

pub fn script_of(source: &str) -> Result<Module, Error> {
    module_of_script(source).map_err(|error| Error { stack: error.stack.replace(FILE_NAME, SCRIPT_NAME), ..error })
}

fn module_of_script(source: &str) -> Result<Module, Error> {
    refuse_large(source)?;
    let arena = Allocator::default();
    let options = ParseOptions { allow_return_outside_function: true, ..ParseOptions::default() };
    let parsed = Parser::new(&arena, source, SourceType::mjs()).with_options(options).parse();
    refuse_first(source, &parsed.diagnostics)?;
    let mut program = parsed.program;
    if let Some(declaration) = program.body.iter().find(|statement| statement.as_module_declaration().is_some()) {
        let message = "A job is one script: import and export are not available.".to_owned();
        return Err(syntax_error(source, message, Some(declaration.span().start as usize)));
    }

    let (call, behind) = match () {
        () if return_expression(&mut program, &arena) => ("typeof value === 'function' ? value(input) : value", ""),
        () if declares_main(&program) => ("value", "return main(input);\n"),
        () => ("value", ""),
    };
    let printed = Codegen::new()
        .with_options(CodegenOptions {
            source_map_path: Some(PathBuf::from(FILE_NAME)),
            comments: CommentOptions::disabled(),
            ..CodegenOptions::default()
        })
        .build(&program);
    // One line, so that the script's own begin behind it.
    let before = format!(
        "export const query = async (input) => {{ const value = await everfold$script(input); \
         return {{ statusCode: 200, body: {{ value: await ({call}) }} }}; }}; \
         const progress = () => {{}}; async function everfold$script(input) {{\n"
    );
    let places = printed.map.map(|map| Places::of(&map)).unwrap_or_default().below(1).named(SCRIPT_NAME);
    Ok(Module { source: format!("{before}{}\n{behind}}}\n", printed.code), places, is_pure: false })
}

/// Of a script that is one expression: what it is worth is what it returns.
fn return_expression<'a>(program: &mut Program<'a>, arena: &'a Allocator) -> bool {
    if program.body.len() != 1 || !matches!(program.body[0], Statement::ExpressionStatement(_)) {
        return false;
    }
    let Some(Statement::ExpressionStatement(statement)) = program.body.pop() else { return false };
    let statement = statement.unbox();
    let build = AstBuilder::new(arena);
    program.body.push(Statement::new_return_statement(statement.span, Some(statement.expression), &build));
    true
}

fn declares_main(program: &Program) -> bool {
    let mut names = Vec::new();
    program.body.iter().filter_map(Statement::as_declaration).for_each(|one: &Declaration| names_of(one, &mut names));
    names.iter().any(|name| name == MAIN)
}
