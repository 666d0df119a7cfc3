//! From the source that an owner wrote to a JavaScript module that the guest can load, and back by line.
//!
//! Types are stripped, never checked. The parser is native code that recurses over hostile text, so all of this
//! runs inside the jailed child, on its large stack.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use oxc_allocator::{Allocator, Vec as ArenaVec};
use oxc_ast::{
    ast::{
        Declaration, ExportSpecifier, ImportOrExportKind, ModuleDeclaration, ModuleExportName, Program, Statement,
        VariableDeclaration,
    },
    builder::AstBuilder,
};
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc_parser::Parser;
use oxc_semantic::SemanticBuilder;
use oxc_span::{GetSpan, SPAN, SourceType, Span};
use oxc_transformer::{TransformOptions, Transformer};
use rules::{
    call::{Error, SHARED_EXPORT},
    canary::{self, Bug},
    limits::SOURCE_BYTES_MAX,
};

mod places;
mod purity;
mod script;

pub use places::Places;
pub use script::script_of;

/// What an owner's code is called in their stack traces.
pub const FILE_NAME: &str = "hook.ts";

/// What hooks.md and actions.md name. A program may export it, or merely declare it.
const HOOK_NAMES: [&str; 5] = ["responder", "getIdempotencyKey", "reducer", "query", "actions"];

/// A program in plain JavaScript, and where each piece of it came from.
pub struct Module {
    pub source: String,
    pub places: Places,
    /// Its requests may follow one another in one guest: it is proven that none could tell.
    pub is_pure: bool,
}

/// Strips the types and exports what a hook or its actions need and the source only declares.
pub fn module_of(source: &str) -> Result<Module, Error> {
    refuse_large(source)?;
    let source = &*spoilt(source);
    let arena = Allocator::default();
    let parsed = Parser::new(&arena, source, SourceType::ts()).parse();
    refuse_first(source, &parsed.diagnostics)?;
    let mut program = parsed.program;

    let meaning = SemanticBuilder::new().with_check_syntax_error(true).with_enum_eval(true).build(&program);
    refuse_first(source, &meaning.diagnostics)?;
    let scoping = meaning.semantic.into_scoping();

    let options = TransformOptions::default();
    let transformed =
        Transformer::new(&arena, Path::new(FILE_NAME), &options).build_with_scoping(scoping, &mut program);
    refuse_first(source, &transformed.diagnostics)?;
    // Only now: an import of nothing but types is gone.
    refuse_imports(source, &program)?;
    export_hook_names(&mut program, &arena);

    let printed = Codegen::new()
        .with_options(CodegenOptions {
            source_map_path: Some(PathBuf::from(FILE_NAME)),
            comments: CommentOptions::disabled(),
            ..CodegenOptions::default()
        })
        .build(&program);
    let shared = purity::prove(&program).filter(|_| !printed.code.contains(SHARED_EXPORT));
    let is_pure = shared.is_some();
    let mut source = printed.code;
    if let Some(purity::Shared(names)) = shared {
        // Behind everything, so that no place moves.
        source.push_str(&format!("export const {SHARED_EXPORT} = () => [{}];\n", names.join(", ")));
    }
    let places = printed.map.map(|map| Places::of(&map)).unwrap_or_default();
    Ok(Module { source, places, is_pure })
}

fn refuse_large(source: &str) -> Result<(), Error> {
    if source.len() <= SOURCE_BYTES_MAX {
        return Ok(());
    }
    Err(Error::plain("RangeError", format!("The source is larger than {SOURCE_BYTES_MAX} bytes.")))
}

/// A planted bug: what a reducer changed before it threw is its result.
fn spoilt(source: &str) -> Cow<'_, str> {
    const REDUCER: &str = "export const reducer =";
    if !canary::is_planted(Bug::HalfChangeKept) || !source.contains(REDUCER) {
        return source.into();
    }
    let spoilt = "export const reducer = (s, ...rest) => { try { return honest(s, ...rest) } catch { return s } };";
    format!("{}\n{spoilt}", source.replace(REDUCER, "const honest =")).into()
}

fn refuse_first(source: &str, found: &oxc_diagnostics::Diagnostics) -> Result<(), Error> {
    let Some(first) = found.errors().next() else { return Ok(()) };
    let mut message = first.message.to_string();
    if let Some(help) = &first.help {
        message = format!("{message} ({help})");
    }
    let offset = first.labels.first().map(|label| label.offset() as usize);
    Err(syntax_error(source, message, offset))
}

fn refuse_imports(source: &str, program: &Program) -> Result<(), Error> {
    let imported = program.body.iter().find_map(|statement| match statement.as_module_declaration()? {
        ModuleDeclaration::ImportDeclaration(import) => Some((import.span, import.source.value.as_str())),
        ModuleDeclaration::ExportAllDeclaration(export) => Some((export.span, export.source.value.as_str())),
        ModuleDeclaration::ExportFromDeclaration(export) => Some((export.span, export.source.value.as_str())),
        _ => None,
    });
    match imported {
        None => Ok(()),
        Some((span, from)) => {
            let message = format!("A hook is one file: import of {from:?} is not available.");
            Err(syntax_error(source, message, Some(span.start as usize)))
        }
    }
}

fn syntax_error(source: &str, message: String, offset: Option<usize>) -> Error {
    let place = offset.map(|offset| place_of(source, offset));
    let stack = place.map(|(line, column)| format!("    at {FILE_NAME}:{line}:{column}")).unwrap_or_default();
    Error { name: "SyntaxError".into(), message, stack, place }
}

/// Line and column from 1, in characters.
fn place_of(source: &str, offset: usize) -> (u32, u32) {
    let mut end = offset.min(source.len());
    while !source.is_char_boundary(end) {
        end -= 1;
    }
    let before = &source[..end];
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|character| *character != '\n').count() + 1;
    (line as u32, column as u32)
}

/// Appends `export { … }` for what the source declares at its top and does not export itself.
fn export_hook_names<'a>(program: &mut Program<'a>, arena: &'a Allocator) {
    let mut declared = Vec::new();
    let mut exported = Vec::new();
    for statement in &program.body {
        if let Some(declaration) = statement.as_declaration() {
            names_of(declaration, &mut declared);
        } else if let Statement::ExportDeclaration(export) = statement {
            names_of(&export.declaration, &mut exported);
        } else if let Statement::ExportNamedDeclaration(export) = statement {
            exported.extend(export.specifiers.iter().map(|specifier| specifier.exported.name().to_string()));
        }
    }
    let missing = HOOK_NAMES.into_iter().filter(|name| {
        declared.iter().any(|declared| declared == name) && !exported.iter().any(|exported| exported == name)
    });

    let build = AstBuilder::new(arena);
    let specifiers = missing.map(|name| {
        let local = ModuleExportName::new_identifier_reference(SPAN, name, &build);
        let outer = ModuleExportName::new_identifier_name(SPAN, name, &build);
        ExportSpecifier::new(SPAN, local, outer, ImportOrExportKind::Value, &build)
    });
    let specifiers = ArenaVec::from_iter_in(specifiers, &arena);
    if !specifiers.is_empty() {
        let kind = ImportOrExportKind::Value;
        let export = Statement::new_export_named_declaration(after(program), specifiers, kind, &build);
        program.body.push(export);
    }
}

fn after(program: &Program) -> Span {
    Span::empty(program.span().end)
}

fn names_of(declaration: &Declaration, names: &mut Vec<String>) {
    match declaration {
        Declaration::FunctionDeclaration(function) => names.extend(function.name().map(|name| name.to_string())),
        Declaration::VariableDeclaration(variables) => names.extend(variable_names(variables)),
        _ => {}
    }
}

fn variable_names(variables: &VariableDeclaration) -> Vec<String> {
    let bound = variables.declarations.iter().flat_map(|variable| variable.id.get_binding_identifiers());
    bound.map(|identifier| identifier.name.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(source: &str) -> Module {
        module_of(source).unwrap_or_else(|error| panic!("{source}: {error:?}"))
    }

    fn refusal(source: &str) -> Error {
        module_of(source).err().unwrap_or_else(|| panic!("{source} was accepted"))
    }

    #[test]
    fn types_are_stripped_and_declared_functions_exported() {
        let source = "type S = { n: number };\nfunction reducer(state: S | undefined): S { return { n: (state?.n ?? 0) + 1 } }\nconst query = (s: S) => s.n;\nexport function responder() {}";
        let module = module(source).source;
        assert!(module.contains("export { reducer, query };\n"), "{module}");
        assert!(!module.contains("number"), "{module}");
    }

    #[test]
    fn what_is_exported_under_another_name_stays_and_is_not_exported_twice() {
        let module = module("function mine(s) { return s }\nexport { mine as reducer };\nconst [query] = [() => 1];");
        assert_eq!(module.source.matches("export").count(), 2, "{}", module.source);
        assert!(module.source.contains("mine as reducer"), "{}", module.source);
    }

    #[test]
    fn a_nested_function_is_not_a_hook_function() {
        assert!(!module("{ let reducer = 1 }\nfunction f() { function query() {} }").source.contains("export"));
    }

    #[test]
    fn enums_and_namespaces_become_code() {
        let module = module(
            "enum Colour { Red, Green }\nnamespace N { export const one = 1 }\nconst reducer = () => Colour.Green + N.one;",
        );
        assert!(module.source.contains("Colour[") && module.source.contains("export { reducer }"), "{}", module.source);
    }

    #[test]
    fn what_does_not_parse_is_refused_with_line_and_column() {
        let error = refusal("const a = 1;\nfunction reducer( { return 1 }\n");
        assert_eq!(error.name, "SyntaxError");
        assert_eq!(error.place.map(|(line, _)| line), Some(2), "{error:?}");
        let twice = refusal("let a = 1;\nlet a = 2;");
        assert!(twice.place.is_some(), "{twice:?}");
    }

    #[test]
    fn an_import_is_refused_unless_it_is_of_types() {
        module("import type { A } from 'a';\nimport { B } from 'b';\nconst reducer = (s: A): B => s;");
        let error = refusal("\n  import { b } from 'b';\nconst reducer = () => b;");
        assert_eq!(error.place, Some((2, 3)));
        assert_eq!(error.message, "A hook is one file: import of \"b\" is not available.");
        refusal("export * from 'a'");
        refusal("import 'a'");
        refusal("export { a } from 'a'");
    }

    #[test]
    fn a_source_beyond_its_bound_is_refused() {
        assert_eq!(refusal(&" ".repeat(SOURCE_BYTES_MAX + 1)).name, "RangeError");
    }

    #[test]
    fn lines_lead_back_to_the_owners_own() {
        let source = "interface A {\n  b: string\n}\n\n// why\nfunction reducer(state: A) {\n  throw new Error('x')\n}";
        let module = module(source);
        let generated = module.source.lines().position(|line| line.contains("throw")).unwrap() as u32 + 1;
        let column = module.source.lines().nth(generated as usize - 1).unwrap().find("new").unwrap() as u32 + 1;
        assert_eq!(module.places.owners((generated, column)), Some((7, 9)));
    }
}
