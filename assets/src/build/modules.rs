//! Who imports whom. Static imports are read where a line begins with them, or where one follows
//! another, as in minified code; that is where they stand in code that was formatted or bundled.

use std::collections::BTreeMap;

use super::tree::Tree;
use super::{BuildError, DEPTH_MAX, MODULES_MAX};

/// Static imports by module.
#[derive(Debug)]
pub(super) struct Modules(BTreeMap<String, Vec<String>>);

impl Modules {
    /// Every module of the tree; whatever one imports, also later, is there.
    pub(super) fn read(tree: &Tree) -> Result<Modules, BuildError> {
        let mut modules = BTreeMap::new();
        for path in tree.files.keys().filter(|path| path.ends_with(".js")) {
            let code = tree.text(path).expect("checked when it was read");
            let resolve = |specifier: &str| resolve(tree, path, specifier);
            let imports = static_imports(code).into_iter().map(resolve).collect::<Result<_, _>>()?;
            for specifier in later_imports(code) {
                resolve(specifier)?;
            }
            modules.insert(path.clone(), imports);
        }
        Ok(Modules(modules))
    }

    /// What a first view that begins with `roots` fetches: these, then what they import, level by
    /// level.
    pub(super) fn first(&self, view: &str, roots: &[&str]) -> Result<Vec<&str>, BuildError> {
        let missing =
            |path: &str| BuildError::NoModule { path: format!("first view of {view}"), specifier: path.into() };
        let mut found: Vec<&str> = Vec::new();
        let mut level: Vec<&str> = roots.to_vec();
        let mut depth = 0;
        while !level.is_empty() {
            let mut next = Vec::new();
            for path in level {
                let (path, imports) = self.0.get_key_value(path).ok_or_else(|| missing(path))?;
                if found.contains(&path.as_str()) {
                    continue;
                }
                if depth > DEPTH_MAX {
                    return Err(BuildError::Deep { view: view.to_owned(), path: path.clone(), depth });
                }
                found.push(path);
                next.extend(imports.iter().map(String::as_str));
            }
            level = next;
            depth += 1;
        }
        if found.len() > MODULES_MAX {
            return Err(BuildError::Many { view: view.to_owned(), count: found.len(), names: found.join(", ") });
        }
        Ok(found)
    }
}

/// The path of what a module at `path` means.
fn resolve(tree: &Tree, path: &str, specifier: &str) -> Result<String, BuildError> {
    let told = || (path.to_owned(), specifier.to_owned());
    if !specifier.starts_with("./") && !specifier.starts_with("../") {
        let (path, specifier) = told();
        return Err(BuildError::Specifier { path, specifier });
    }
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in specifier.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    let target = parts.join("/");
    let (path, specifier) = told();
    if tree.files.contains_key(&target) { Ok(target) } else { Err(BuildError::NoModule { path, specifier }) }
}

/// Specifiers of `import … from "…"`, `import "…"` and `export … from "…"`.
fn static_imports(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let rest = code[at..].trim_start_matches([' ', '\t', ';']);
        match statement(rest) {
            Some((specifier, behind)) => {
                found.push(specifier);
                at = code.len() - behind.len();
            }
            None => at = code[at..].find('\n').map_or(code.len(), |end| at + end + 1),
        }
    }
    found
}

/// The specifier of the import at the start of `code`, and what stands behind it.
fn statement(code: &str) -> Option<(&str, &str)> {
    let clause = if let Some(clause) = code.strip_prefix("import") {
        if clause.starts_with(['(', '.']) || clause.starts_with(|c: char| c.is_alphanumeric() || c == '_') {
            return None;
        }
        clause
    } else {
        let names = code.strip_prefix("export")?.trim_start();
        let behind = if names.starts_with('*') {
            names.split_once("from")?.1
        } else {
            names.strip_prefix('{')?.split_once('}')?.1
        };
        if names.starts_with('{') { behind.trim_start().strip_prefix("from")? } else { behind }
    };
    let open = clause.find(['"', '\''])?;
    // Between the word and the text stand names only, and `from`.
    if clause[..open].contains([';', '(', '=']) {
        return None;
    }
    let quote = &clause[open..=open];
    clause[open + 1..].split_once(quote)
}

/// Specifiers of `import("…")`, those of types in comments left out.
fn later_imports(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for line in code.lines().filter(|line| !line.trim_start().starts_with('*')) {
        for (at, call) in line.match_indices("import(\"") {
            let rest = &line[at + call.len()..];
            if !line[..at].contains('@') {
                found.extend(rest.split_once('"').map(|(specifier, _)| specifier));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(code: &str, imported: &[&str]) {
        assert_eq!(static_imports(code), imported, "{code}");
    }

    #[test]
    fn static_imports_are_found_in_any_form() {
        check("import \"./a.js\";\n", &["./a.js"]);
        check("import a from './a.js'\nimport * as b from \"../b.js\";", &["./a.js", "../b.js"]);
        check("import {\n  a,\n  b as c,\n} from \"./a.js\";\nconst x = 1;", &["./a.js"]);
        check("import{a}from\"./a.js\";import\"./b.js\";let c=1", &["./a.js", "./b.js"]);
        check("export { a } from \"./a.js\";\nexport * from \"./b.js\";", &["./a.js", "./b.js"]);
        check("// one\n\n  import a from \"./a.js\";", &["./a.js"]);
    }

    #[test]
    fn what_only_looks_like_an_import_is_none() {
        check("const later = () => import(\"./a.js\");\nimport(\"./b.js\");", &[]);
        check("export const name = \"./a.js\";\nexport { a };\nconst b = \"./b.js\";", &[]);
        check("export default \"./a.js\";\nimportant(\"./b.js\");\nimport.meta.url + \"./c.js\";", &[]);
        check("// import a from \"./a.js\";\n * import b from \"./b.js\";", &[]);
    }

    #[test]
    fn imports_of_later_are_found_and_types_in_comments_are_not() {
        let code = "const a = () => import(\"./a.js\");\n/** @type {import(\"./b\").B} */\n * {import(\"./c\").C}\n";
        assert_eq!(later_imports(code), ["./a.js"]);
    }
}
