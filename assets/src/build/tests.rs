use std::fs;

use tempfile::TempDir;

use super::*;

const INDEX: &str =
    "<head><!--style a.css--><!--preload--></head><script src=\"{{assets}}/main.js\"></script><!--first-->";
const ENTRY: (&str, &str) = ("main.js", "import { b } from \"./kit/b.js\";\n");

/// Two folders with these files.
fn folders(shared: &[(&str, &str)], own: &[(&str, &str)]) -> (TempDir, TempDir) {
    let fill = |files: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    };
    (fill(shared), fill(own))
}

/// `assets.rs` of these folders, or why there is none.
fn build(shared: &[(&str, &str)], own: &[(&str, &str)], views: &[(&str, &str)]) -> Result<(String, TempDir), String> {
    let (shared, own) = folders(shared, own);
    let out = tempfile::tempdir().unwrap();
    let folders = [shared.path().to_str().unwrap(), own.path().to_str().unwrap()];
    let sources = Sources { folders: &folders, entry: "main.js", views };
    sources.write(out.path()).map_err(|error| error.to_string())?;
    Ok((fs::read_to_string(out.path().join("assets.rs")).unwrap(), out))
}

fn hash(code: &str) -> &str {
    code.split('"').nth(1).unwrap()
}

#[test]
fn two_folders_become_one_tree_with_a_hash_of_all_of_it() {
    let shared = [("kit/b.js", "export const b = 1;\n"), ("a.css", "a { color: red }")];
    let own = [("index.html", INDEX), ENTRY];
    let (code, _) = build(&shared, &own, &[]).unwrap();
    let paths: Vec<&str> = code.split("path: \"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    assert_eq!(paths, ["a.css", "kit/b.js", "main.js"]);
    let prefix = format!("/assets/{}", hash(&code));
    assert!(code.contains(&format!("src=\\\"{prefix}/main.js\\\"")), "{code}");
    for path in ["main.js", "kit/b.js"] {
        assert!(code.contains(&format!("<link rel=\\\"modulepreload\\\" href=\\\"{prefix}/{path}\\\">")), "{code}");
    }
    // echo -n 'a { color: red }' | openssl dgst -sha256 -binary | base64
    assert!(code.contains("<style>a { color: red }</style>"), "{code}");
    let source = "'sha256-LHvAPItmcc9l4w10oslyz6Nh8tFuoEH5lssCs9WdKIE='";
    assert!(code.contains(&format!("style_sources: {source:?}")), "{code}");
    assert_eq!(code, build(&shared, &own, &[]).unwrap().0, "the same files give the same table");
    let changed = [("kit/b.js", "export const b = 2;\n"), ("a.css", "a { color: red }")];
    assert_ne!(hash(&code), hash(&build(&changed, &own, &[]).unwrap().0));
}

#[test]
fn the_hash_tells_names_from_contents() {
    let own = [("index.html", INDEX), ENTRY, ("kit/b.js", "")];
    let one = build(&[("a.css", "b.cssx")], &own, &[]).unwrap().0;
    let two = build(&[("a.css", ""), ("b.css", "x")], &own, &[]).unwrap().0;
    assert_ne!(hash(&one), hash(&two));
}

#[test]
fn files_are_compressed_where_that_makes_them_smaller() {
    let long = "export const b = 1;\n".repeat(50);
    let own = [("index.html", INDEX), ENTRY, ("a.css", "a{}")];
    let (code, out) = build(&[("kit/b.js", &long), ("notes.md", "not served")], &own, &[]).unwrap();
    assert!(code.contains("path: \"a.css\", media_type: \"text/css; charset=utf-8\", plain: include_bytes!(\"asset0.plain\"), brotli: None, gzip: None"), "{code}");
    assert!(!code.contains("notes.md"));
    let read = |name: &str| fs::read(out.path().join(name)).unwrap();
    let mut unpacked = Vec::new();
    brotli::BrotliDecompress(&mut read("asset1.br").as_slice(), &mut unpacked).unwrap();
    assert_eq!(unpacked, long.as_bytes());
    let mut unpacked = String::new();
    let packed = read("asset1.gz");
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut unpacked).unwrap();
    assert_eq!(unpacked, long);
    assert_eq!(packed[4..8], [0; 4], "no time in it");
}

#[test]
fn a_page_of_its_own_names_what_its_module_imports() {
    let own = [("index.html", INDEX), ENTRY, ("a.css", ""), ("pages/fleet.js", "import \"../kit/c.js\";")];
    let shared = [("kit/b.js", ""), ("kit/c.js", "")];
    let (code, _) = build(&shared, &own, &[("/", "pages/fleet.js")]).unwrap();
    let (_, of_fleet) = code.split_once("(\"/\", ").unwrap();
    for path in ["main.js", "pages/fleet.js", "kit/b.js", "kit/c.js"] {
        assert_eq!(of_fleet.matches(path).count(), 1, "{path}");
    }
}

#[test]
fn whatever_would_not_work_fails_the_build_with_its_place() {
    let kit = ("kit/b.js", "");
    let index = ("index.html", INDEX);
    let css = ("a.css", "");
    let deep: Vec<String> = (0..4).map(|n| format!("import \"./d{}.js\";", n + 1)).collect();
    let wide: String = (0..10).map(|n| format!("import \"./w{n}.js\";\n")).collect();
    let wide_files: Vec<(String, &str)> = (0..10).map(|n| (format!("w{n}.js"), "")).collect();
    let mut many = vec![index, css, ("main.js", wide.as_str())];
    many.extend(wide_files.iter().map(|(path, text)| (path.as_str(), *text)));
    for (own, told) in [
        (vec![index, css, ("main.js", "import \"./gone.js\";")], "main.js imports ./gone.js, which is not there"),
        (vec![index, css, ("main.js", "const a = () => import(\"./gone.js\");")], "main.js imports ./gone.js"),
        (vec![index, css, ("main.js", "import \"preact\";")], "main.js imports preact; write it as ./"),
        (vec![index, css], "main.js, which is not there"),
        (vec![index, css, ENTRY, ("x.js", "fetch(\"https://cdn.example/x\")")], "x.js refers to https://cdn.example/x"),
        (
            vec![index, ENTRY, ("a.css", "a { background: url(http://cdn.example/i.png) }")],
            "a.css refers to http://cdn",
        ),
        (vec![index, css, ENTRY, ("x.js", "import \"//cdn.example/x.js\"; from \"//cdn.example/\"")], "//cdn.example/"),
        (vec![index, css, ENTRY, ("x.js", "a.innerHTML = name;")], "x.js has innerHTML; names come from people"),
        (vec![("index.html", "<!--first-->"), css, ENTRY], "index.html lacks <!--preload-->"),
        (vec![("index.html", "<!--preload-->"), css, ENTRY], "index.html lacks <!--first-->"),
        (vec![("index.html", INDEX), ENTRY], "index.html: a.css is not there"),
        (vec![index, css, ENTRY, ("kit/b.js", "")], "kit/b.js is in two folders"),
        (many, "11 modules are more than 10"),
        (
            vec![index, css, ("main.js", deep[0].as_str()), ("d1.js", &deep[1]), ("d2.js", &deep[2]), ("d3.js", "")],
            "d3.js is 3 imports deep",
        ),
    ] {
        let error = build(&[kit], &own, &[]).unwrap_err();
        assert!(error.contains(told), "{error}\nwas to contain\n{told}");
    }
}

#[test]
fn what_harms_nobody_is_let_through() {
    let icon = "<svg xmlns=\"http://www.w3.org/2000/svg\"/>";
    let script = "/*! uPlot (https://github.com/leeoniya/uPlot) https://x.example */\nconst ns = 'http://www.w3.org/2000/svg';\nconst ws = `wss://${location.host}`;";
    let library = ("vendor/x.js", "e.innerHTML = markup;");
    let own = [("index.html", INDEX), ENTRY, ("a.css", ""), ("icon.svg", icon), ("x.js", script), library];
    build(&[("kit/b.js", "")], &own, &[]).unwrap();
}
