//! Errors as the owner should read them: their own file, lines and columns, and nothing of the machinery.

use oxc_sourcemap::SourceMap;
use rules::call::Error;

use super::FILE_NAME;

/// Where each piece of a generated module came from: `(line, column)` pairs from 1, in the generated order.
pub struct Places {
    pieces: Vec<Piece>,
    /// What its owner's file is called.
    file: &'static str,
}

struct Piece {
    generated: (u32, u32),
    owners: (u32, u32),
}

impl Default for Places {
    fn default() -> Self {
        Places { pieces: Vec::new(), file: FILE_NAME }
    }
}

impl Places {
    pub fn of(map: &SourceMap) -> Self {
        let mut pieces: Vec<Piece> = map
            .get_tokens()
            .filter(|token| token.get_source_id().is_some())
            .map(|token| Piece {
                generated: (token.get_dst_line() + 1, token.get_dst_col() + 1),
                owners: (token.get_src_line() + 1, token.get_src_col() + 1),
            })
            .collect();
        pieces.sort_by_key(|piece| piece.generated);
        Places { pieces, file: FILE_NAME }
    }

    /// The same, where all that was generated stands so many lines further down.
    pub fn below(mut self, lines: u32) -> Self {
        self.pieces.iter_mut().for_each(|piece| piece.generated.0 += lines);
        self
    }

    pub fn named(self, file: &'static str) -> Self {
        Places { file, ..self }
    }

    /// The owner's place for a generated one, if something of theirs stands on that line.
    pub fn owners(&self, generated: (u32, u32)) -> Option<(u32, u32)> {
        let behind = self.pieces.partition_point(|piece| piece.generated <= generated);
        let piece = self.pieces[..behind].last().or(self.pieces.first())?;
        (piece.generated.0 == generated.0).then_some(piece.owners)
    }

    /// The error with every place its owner's, and without the frames that are not in their file.
    pub fn translate(&self, error: Error) -> Error {
        let frames: Vec<(String, (u32, u32))> = error.stack.lines().filter_map(|line| self.frame(line)).collect();
        let place = match error.place {
            Some(generated) => self.owners(generated),
            None => frames.first().map(|(_, place)| *place),
        };
        let stack = frames.into_iter().map(|(line, _)| line).collect::<Vec<_>>().join("\n");
        Error { stack, place, ..error }
    }

    /// `    at name (hook.ts:3:11)`, the place translated.
    fn frame(&self, line: &str) -> Option<(String, (u32, u32))> {
        let (before, behind) = line.split_once(FILE_NAME)?;
        let mut numbers = behind.trim_end_matches(')').split(':').skip(1).map(|number| number.parse().ok());
        let generated = (numbers.next()??, numbers.next().flatten().unwrap_or(1));
        let (line, column) = self.owners(generated)?;
        let close = if before.ends_with('(') { ")" } else { "" };
        Some((format!("{before}{}:{line}:{column}{close}", self.file), (line, column)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_translated_and_those_of_others_dropped() {
        let piece = |generated, owners| Piece { generated, owners };
        let places = Places { pieces: vec![piece((1, 1), (4, 1)), piece((2, 3), (9, 5))], file: FILE_NAME };
        let error = Error {
            name: "TypeError".into(),
            message: "no".into(),
            stack:
                "    at inner (hook.ts:2:7)\n    at map (native)\n    at call (prelude.js:1:1)\n    at hook.ts:1:1\n"
                    .into(),
            place: None,
        };
        let translated = places.translate(error);
        assert_eq!(translated.stack, "    at inner (hook.ts:9:5)\n    at hook.ts:4:1");
        assert_eq!(translated.place, Some((9, 5)));
    }
}
