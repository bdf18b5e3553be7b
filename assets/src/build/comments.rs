//! Comments that stand alone stay at home: a third of what the pages' scripts weigh is for their readers.

/// The text without the comments that fill whole lines; each line keeps its number.
///
/// Only lines that begin with a comment are looked at, so nothing inside code or strings changes. (A line
/// of a template that began with `//` or `/*` would be taken for one; the house's scripts have none.)
pub(super) fn left_out(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut inside = false;
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let trimmed = line.trim_start();
        if inside || trimmed.starts_with("/*") {
            // A cast, `/** @type {X} */ (y)`, has code behind it and stays whole.
            match trimmed.split_once("*/") {
                None => inside = true,
                Some((_, rest)) if rest.trim().is_empty() => inside = false,
                Some((_, rest)) => {
                    kept.push_str(if inside { rest } else { line });
                    inside = false;
                }
            }
        } else if !trimmed.starts_with("//") {
            kept.push_str(line);
        }
        kept.push_str(end);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::left_out;

    #[test]
    fn comments_of_whole_lines_go_and_lines_keep_their_numbers() {
        for (text, kept) in [
            ("// head\nlet a = 1; // why\n", "\nlet a = 1; // why\n"),
            ("/**\n * @param {string} a\n */\nlet b;\n", "\n\n\nlet b;\n"),
            ("  /** One. */\nlet c;\n", "\nlet c;\n"),
            ("/** @type {X} */ (y);\n", "/** @type {X} */ (y);\n"),
            ("/*\n end */ let d;\n", "\n let d;\n"),
            ("let e = \"// no\"; /* kept */\n", "let e = \"// no\"; /* kept */\n"),
            ("a { b: c; }\n/* two\n lines */\nd { e: f; }\n", "a { b: c; }\n\n\nd { e: f; }\n"),
        ] {
            assert_eq!(left_out(text), kept, "{text}");
        }
    }
}
