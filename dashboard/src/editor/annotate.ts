/**
 * Gives the functions that the server calls, and the actions, the types of what they are called with, where their owner
 * wrote none.
 * Types are written into a copy, and places are led from one text to the other.
 */

import ts from "typescript";

const PARAMETERS: Record<string, readonly string[]> = {
  reducer: ["HookState", "HookRequest", "HookSecrets"],
  responder: ["HookRequest", "HookSecrets"],
  getIdempotencyKey: ["HookRequest", "HookSecrets"],
  query: ["HookState", "URLSearchParams", "HookSecrets"],
};

export interface Annotated {
  text: string;
  /** From the owner's text to the copy. */
  there: (position: number) => number;
  /** From the copy to the owner's text. */
  back: (position: number) => number;
}

interface Insertion {
  at: number;
  words: string;
}

export function annotate(code: string): Annotated {
  const insertions = wanted(ts.createSourceFile("/hook.ts", code, ts.ScriptTarget.ES2023, false));
  let text = "";
  let from = 0;
  for (const { at, words } of insertions) {
    text += code.slice(from, at) + words;
    from = at;
  }
  text += code.slice(from);
  const there = (position: number) =>
    insertions.reduce((moved, { at, words }) => (at < position ? moved + words.length : moved), position);
  const back = (position: number) => {
    let left = position;
    for (const { at, words } of insertions) {
      if (left <= at) break;
      left = Math.max(at, left - words.length);
    }
    return left;
  };
  return { text, there, back };
}

function wanted(file: ts.SourceFile): Insertion[] {
  const all: Insertion[] = [];
  const visit = (name: string | undefined, made: ts.SignatureDeclarationBase | undefined) => {
    const types = name === undefined ? undefined : PARAMETERS[name];
    if (!types || !made) return;
    for (const [index, parameter] of made.parameters.entries()) {
      const type = types[index];
      if (type && !parameter.type && !parameter.dotDotDotToken)
        all.push({ at: parameter.name.end, words: `: ${type}` });
    }
  };
  for (const statement of file.statements) {
    if (ts.isFunctionDeclaration(statement)) visit(statement.name?.text, statement);
    if (!ts.isVariableStatement(statement)) continue;
    for (const { name, type, initializer } of statement.declarationList.declarations) {
      const isFunction = initializer && (ts.isArrowFunction(initializer) || ts.isFunctionExpression(initializer));
      // `x => …` has no brackets that a type could stand in.
      const isBracketed = isFunction && file.text.slice(initializer.pos, initializer.parameters.end + 1).includes("(");
      if (ts.isIdentifier(name) && isBracketed) visit(name.text, initializer);
      if (
        ts.isIdentifier(name) &&
        name.text === "actions" &&
        !type &&
        initializer &&
        ts.isObjectLiteralExpression(initializer)
      )
        all.push({ at: name.end, words: ": HookActions" });
    }
  }
  return all.toSorted((one, other) => one.at - other.at);
}
