//! Proves of a program that nothing it owns can change between two requests, and that it cannot catch what is thrown.
//!
//! The proof is by what may stand in a program, not by what may not: a construct that is not listed here is no proof.
//! What remains possible, changing an object that outlives the call, is frozen in the guest and throws there
//! (guest/guest/src/live.rs). A program without a proof starts each request from its pristine image, and loses
//! nothing but speed.

use oxc_ast::{
    AstKind,
    ast::{
        Argument, ArrayExpressionElement, Declaration, Expression, IdentifierReference, ObjectPropertyKind, Program,
        PropertyKind, Statement, VariableDeclaration, VariableDeclarationKind,
    },
};
use oxc_semantic::{AstNodes, Scoping, SemanticBuilder, SymbolId};

/// What stands at the top of a program that is pure, by name.
pub struct Shared(pub Vec<String>);

/// Globals that a pure program may name. Each is frozen, or makes only fresh values.
const GLOBALS: &[&str] = &[
    "undefined",
    "NaN",
    "Infinity",
    "arguments",
    "Object",
    "Array",
    "String",
    "Number",
    "Boolean",
    "Symbol",
    "BigInt",
    "Math",
    "JSON",
    "Date",
    "RegExp",
    "Map",
    "Set",
    "WeakMap",
    "WeakSet",
    "Error",
    "TypeError",
    "RangeError",
    "SyntaxError",
    "ReferenceError",
    "EvalError",
    "URIError",
    "AggregateError",
    "parseInt",
    "parseFloat",
    "isNaN",
    "isFinite",
    "encodeURIComponent",
    "decodeURIComponent",
    "encodeURI",
    "decodeURI",
    "escape",
    "unescape",
    "atob",
    "btoa",
    "ArrayBuffer",
    "DataView",
    "Uint8Array",
    "Int8Array",
    "Uint16Array",
    "Int16Array",
    "Uint32Array",
    "Int32Array",
    "Float32Array",
    "Float64Array",
    "BigInt64Array",
    "BigUint64Array",
    "Uint8ClampedArray",
    "console",
    "URL",
    "URLSearchParams",
    "TextEncoder",
    "TextDecoder",
    "structuredClone",
    "sha256",
    "sha512",
    "hmac",
    "toHex",
    "uuid",
    "verifyWebhook",
    "validateJsonSchema",
    "validateJsonTypeDef",
    "template",
    "input",
    "select",
    "secrets",
];
/// What may be asked of a Map or Set at the top, which no freezing protects.
const READS: &[&str] = &["has", "get", "size", "keys", "values", "entries"];

/// The names of what a pure program shares between requests; nothing if there is no proof that it is pure.
pub fn prove(program: &Program) -> Option<Shared> {
    let semantic = SemanticBuilder::new().with_build_nodes(true).build(program).semantic;
    let proof = Proof { scoping: semantic.scoping(), nodes: semantic.nodes() };
    assert!(proof.nodes.iter().next().is_some(), "a proof looks at every node, the program at least");
    proof.nodes.iter().all(|node| proof.allows(node.kind())).then_some(())?;
    let mut shared = Vec::new();
    for statement in &program.body {
        proof.stands_at_top(statement, &mut shared).then_some(())?;
    }
    Some(Shared(shared))
}

struct Proof<'s> {
    scoping: &'s Scoping,
    nodes: &'s AstNodes<'s>,
}

impl Proof<'_> {
    /// Whether this may stand anywhere in a pure program.
    fn allows(&self, kind: AstKind) -> bool {
        match kind {
            AstKind::IdentifierReference(name) => self.allows_name(name),
            AstKind::Function(function) => !function.r#async && !function.generator,
            AstKind::ArrowFunctionExpression(arrow) => !arrow.r#async,
            AstKind::ForOfStatement(each) => !each.r#await,
            AstKind::ObjectProperty(property) => property.kind == PropertyKind::Init,
            AstKind::VariableDeclaration(variables) => matches!(
                variables.kind,
                VariableDeclarationKind::Var | VariableDeclarationKind::Let | VariableDeclarationKind::Const
            ),
            _ => is_harmless(kind),
        }
    }

    /// Its own variables inside functions, and reading what stands at the top or is one of the globals.
    fn allows_name(&self, name: &IdentifierReference) -> bool {
        let reference = self.scoping.get_reference(name.reference_id());
        match reference.symbol_id() {
            Some(symbol) => !(reference.is_write() && self.is_at_top(symbol)),
            None => !reference.is_write() && GLOBALS.contains(&name.name.as_str()),
        }
    }

    fn is_at_top(&self, symbol: SymbolId) -> bool {
        self.scoping.symbol_scope_id(symbol) == self.scoping.root_scope_id()
    }

    fn stands_at_top(&self, statement: &Statement, shared: &mut Vec<String>) -> bool {
        match statement {
            Statement::EmptyStatement(_) | Statement::ExportNamedDeclaration(_) => true,
            Statement::ExportDeclaration(export) => self.declares(&export.declaration, shared),
            // `template("…", …)` keeps a function for a call of its own, which no live guest ever answers; it is given
            // to nobody else, and calls nothing now.
            Statement::ExpressionStatement(statement) => self.describes(&statement.expression),
            other => other.as_declaration().is_some_and(|declaration| self.declares(declaration, shared)),
        }
    }

    fn declares(&self, declaration: &Declaration, shared: &mut Vec<String>) -> bool {
        match declaration {
            Declaration::FunctionDeclaration(function) => {
                shared.extend(function.name().map(|name| name.to_string()));
                true
            }
            Declaration::VariableDeclaration(variables) => self.declares_variables(variables, shared),
            _ => false,
        }
    }

    fn declares_variables(&self, variables: &VariableDeclaration, shared: &mut Vec<String>) -> bool {
        variables.declarations.iter().all(|variable| {
            let Some(identifier) = variable.id.get_binding_identifier() else { return false };
            shared.push(identifier.name.to_string());
            variable.init.as_ref().is_none_or(|init| {
                self.is_plain(init)
                    || (self.is_collection_of_literals(init) && self.is_only_read(identifier.symbol_id()))
            })
        })
    }

    /// An expression whose value can be frozen, and whose evaluation runs none of the program's functions.
    fn is_plain(&self, expression: &Expression) -> bool {
        let all = |expressions: &[&Expression]| expressions.iter().all(|expression| self.is_plain(expression));
        match expression {
            Expression::FunctionExpression(_) | Expression::ArrowFunctionExpression(_) => true,
            Expression::RegExpLiteral(_) | Expression::Identifier(_) => true,
            Expression::TemplateLiteral(text) => text.expressions.iter().all(is_literal),
            Expression::ArrayExpression(array) => array.elements.iter().all(|element| match element {
                ArrayExpressionElement::Elision(_) => true,
                element => element.as_expression().is_some_and(|element| self.is_plain(element)),
            }),
            Expression::ObjectExpression(object) => object.properties.iter().all(|property| match property {
                ObjectPropertyKind::ObjectProperty(property) => !property.computed && self.is_plain(&property.value),
                ObjectPropertyKind::SpreadProperty(_) => false,
            }),
            Expression::ParenthesizedExpression(inner) => self.is_plain(&inner.expression),
            Expression::CallExpression(call) => {
                let callee = call.callee.as_member_expression();
                let is_freeze = callee.is_some_and(|callee| {
                    callee.static_property_name() == Some("freeze") && self.is_global(callee.object(), &["Object"])
                });
                (is_freeze && call.arguments.len() == 1 && self.are_plain(&call.arguments))
                    || self.describes(expression)
            }
            Expression::ConditionalExpression(choice) => all(&[&choice.test, &choice.consequent, &choice.alternate]),
            literal => is_literal(literal),
        }
    }

    fn are_plain(&self, arguments: &[Argument]) -> bool {
        arguments.iter().all(|argument| argument.as_expression().is_some_and(|argument| self.is_plain(argument)))
    }

    fn describes(&self, expression: &Expression) -> bool {
        let Expression::CallExpression(call) = expression else { return false };
        self.is_global(&call.callee, &["template", "input", "select"]) && self.are_plain(&call.arguments)
    }

    fn is_global(&self, expression: &Expression, names: &[&str]) -> bool {
        let Expression::Identifier(name) = expression else { return false };
        self.scoping.get_reference(name.reference_id()).symbol_id().is_none() && names.contains(&name.name.as_str())
    }

    /// `new Set(["a", "b"])`, `new Map([["a", 1]])`: nothing in it could be changed.
    fn is_collection_of_literals(&self, expression: &Expression) -> bool {
        let Expression::NewExpression(made) = expression else { return false };
        let allows = |item: &Expression| is_literal(item) || is_list(item, is_literal);
        self.is_global(&made.callee, &["Map", "Set"])
            && match made.arguments.as_slice() {
                [] => true,
                [only] => only.as_expression().is_some_and(|items| is_list(items, allows)),
                _ => false,
            }
    }

    /// Whether every mention of it asks for what is in it.
    fn is_only_read(&self, symbol: SymbolId) -> bool {
        self.scoping.get_resolved_references(symbol).all(|reference| {
            // A name stands in a static member expression only as its object.
            let AstKind::StaticMemberExpression(member) = self.nodes.parent_kind(reference.node_id()) else {
                return false;
            };
            READS.contains(&member.property.name.as_str())
        })
    }
}

/// Constructs without a memory of their own, that catch nothing and make no code.
fn is_harmless(kind: AstKind) -> bool {
    use AstKind::*;
    matches!(
        kind,
        Program(_)
            | IdentifierName(_)
            | BindingIdentifier(_)
            | LabelIdentifier(_)
            | ThisExpression(_)
            | ArrayExpression(_)
            | Elision(_)
            | ObjectExpression(_)
            | TemplateLiteral(_)
            | TemplateElement(_)
            | ComputedMemberExpression(_)
            | StaticMemberExpression(_)
            | CallExpression(_)
            | NewExpression(_)
            | SpreadElement(_)
            | UpdateExpression(_)
            | UnaryExpression(_)
            | BinaryExpression(_)
            | LogicalExpression(_)
            | ConditionalExpression(_)
            | AssignmentExpression(_)
            | ArrayAssignmentTarget(_)
            | ObjectAssignmentTarget(_)
            | AssignmentTargetRest(_)
            | AssignmentTargetWithDefault(_)
            | AssignmentTargetPropertyIdentifier(_)
            | AssignmentTargetPropertyProperty(_)
            | SequenceExpression(_)
            | ChainExpression(_)
            | ParenthesizedExpression(_)
            | Directive(_)
            | BlockStatement(_)
            | VariableDeclarator(_)
            | EmptyStatement(_)
            | ExpressionStatement(_)
            | IfStatement(_)
            | DoWhileStatement(_)
            | WhileStatement(_)
            | ForStatement(_)
            | ForInStatement(_)
            | ContinueStatement(_)
            | BreakStatement(_)
            | ReturnStatement(_)
            | SwitchStatement(_)
            | SwitchCase(_)
            | LabeledStatement(_)
            | ThrowStatement(_)
            | AssignmentPattern(_)
            | ObjectPattern(_)
            | BindingProperty(_)
            | ArrayPattern(_)
            | BindingRestElement(_)
            | FormalParameters(_)
            | FormalParameter(_)
            | FormalParameterRest(_)
            | FunctionBody(_)
            | ExportDeclaration(_)
            | ExportNamedDeclaration(_)
            | ExportSpecifier(_)
            | BooleanLiteral(_)
            | NullLiteral(_)
            | NumericLiteral(_)
            | StringLiteral(_)
            | BigIntLiteral(_)
            | RegExpLiteral(_)
    )
}

fn is_literal(expression: &Expression) -> bool {
    match expression {
        Expression::BooleanLiteral(_)
        | Expression::NullLiteral(_)
        | Expression::NumericLiteral(_)
        | Expression::StringLiteral(_)
        | Expression::BigIntLiteral(_) => true,
        Expression::UnaryExpression(unary) => is_literal(&unary.argument),
        Expression::BinaryExpression(binary) => is_literal(&binary.left) && is_literal(&binary.right),
        Expression::ParenthesizedExpression(inner) => is_literal(&inner.expression),
        _ => false,
    }
}

fn is_list(expression: &Expression, allows: impl Fn(&Expression) -> bool) -> bool {
    let Expression::ArrayExpression(array) = expression else { return false };
    array.elements.iter().all(|element| element.as_expression().is_some_and(&allows))
}

#[cfg(test)]
mod tests {
    use super::super::module_of;

    fn is_pure(source: &str) -> bool {
        module_of(source).unwrap_or_else(|error| panic!("{source}: {error:?}")).is_pure
    }

    #[test]
    fn ordinary_reducers_are_proven_pure() {
        for source in [
            "export function reducer(state, request) { return { n: (state?.n ?? 0) + 1 } }",
            "type S = { n: number };\nconst reducer = (state: S = { n: 0 }, { body }: any) => ({ ...state, n: state.n + body.n });",
            "const LIMIT = 3, NAMES = Object.freeze(['a', 'b']);\nfunction pick(x) { let best = 0; for (const y of x) best = Math.max(best, y); return best }\nexport function reducer(s = [], r) { s.push(pick(r.body)); return s.slice(-LIMIT) }",
            "const PAID = new Set(['order.paid']);\nexport const reducer = (s, r) => (PAID.has(r.body.type) ? (s ?? 0) + 1 : s);",
            "template('hello', (state) => ({ body: { name: input('name'), n: state?.length } }));\nfunction reducer(s) { const seen = {}; seen.a = 1; delete seen.a; return [...(s ?? []), seen] }",
            "const DEFAULTS = { a: [1, { b: /x/ }], f(x) { return x } };\nfunction reducer(s) { var { a, ...rest } = DEFAULTS; [a] = [2]; return { a, rest } }",
        ] {
            assert!(is_pure(source), "{source}");
        }
    }

    #[test]
    fn whatever_could_remember_or_catch_has_no_proof() {
        for source in [
            "let n = 0; function reducer() { return n++ }",
            "let n = 0; function reducer() { [n] = [n + 1]; return n }",
            "let n; function reducer() { for (n of [1]); return n }",
            "const seen = new Map(); function reducer(s, r) { seen.set(r.id, 1); return seen.size }",
            "const seen = new Set(['a']); const alias = seen; function reducer() { alias.add('b'); return seen.size }",
            "const seen = new Set(['a']); function reducer(s, r) { return seen[r.body](1) }",
            "const seen = new Set(['a']); export { seen }; function reducer() { return 1 }",
            "const Object = { freeze: () => { let n = 0; return () => n++ } }; const next = Object.freeze(1); function reducer() { return next() }",
            "const Set = function () { let n = 0; this.has = () => n++ }; const s = new Set(['a']); function reducer() { return s.has() }",
            "const next = (() => { let n = 0; return () => n++ })(); function reducer() { return next() }",
            "const when = new Date(0); function reducer() { when.setTime(when.getTime() + 1); return +when }",
            "const bytes = new Uint8Array(1); function reducer() { return bytes[0]++ }",
            "class Counter { static n = 0 } function reducer() { return Counter.n++ }",
            "function reducer() { try { Object.prototype.x = 1 } catch {} return 1 }",
            "async function reducer() { return 1 }",
            "function reducer() { return Promise.resolve(1) }",
            "function* each() { yield 1 } function reducer() { return [...each()] }",
            "function reducer() { return eval('1') }",
            "function reducer() { return new Function('return 1')() }",
            "function reducer() { globalThis.x = 1; return 1 }",
            "function reducer() { return Reflect.set({}, 'a', 1) }",
            "function reducer() { return { get a() { return 1 } } }",
            "function reducer() { Math = 1; return 1 }",
            "function reducer() { return import.meta.url }",
            "console.log('hello'); function reducer() { return 1 }",
            // Builders run apart, and are held to the same: what they own is the reducer's as well.
            "let n = 0; template('a', () => n++); function reducer() { return n }",
            "const kept = new Map(); template('a', (state) => kept.set(1, state)); function reducer() { return kept.size }",
            "template('a', (() => { let n = 0; return () => n++ })()); function reducer() { return 1 }",
            "const template = (_, build) => build(); template('a', () => 1); function reducer() { return 1 }",
            "for (const name of ['a']) template(name, () => 1); function reducer() { return 1 }",
            "if (true) { var x = 1 } function reducer() { return x }",
            "const { a } = { get a() { return 1 } }; function reducer() { return a }",
            "export default function () {} function reducer() { return 1 }",
            "function reducer() { return 1 } const everfold$shared = 1;",
        ] {
            assert!(!is_pure(source), "{source}");
        }
    }
}
