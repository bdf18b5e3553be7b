use super::*;

const ASSETS: Assets = Assets {
    hash: "0011",
    etag: "W/\"0011\"",
    files: &[
        Asset { path: "a.js", media_type: "text/javascript", plain: b"plain", brotli: Some(b"br"), gzip: Some(b"gz") },
        Asset { path: "b.png", media_type: "image/png", plain: b"plain", brotli: None, gzip: Some(b"gz") },
    ],
    page: Page {
        head: "<head>",
        middle: "<body>",
        tail: "</body>",
        preloads: &[("*", "entry"), ("/", "entry, fleet")],
        style_sources: "",
    },
};

#[test]
fn a_file_is_found_under_the_hash_of_its_tree_only() {
    let found = ASSETS.answer("0011", "b.png", "", "").unwrap();
    assert_eq!(found.body, Some(&b"plain"[..]));
    for header in [("content-type", "image/png"), ("cache-control", "public, max-age=31536000, immutable")] {
        assert!(found.headers.contains(&header), "{found:?}");
    }
    for (hash, path) in [("0012", "b.png"), ("0011", "c.js"), ("0011", ""), ("", "a.js"), ("0011", "../a.js")] {
        assert_eq!(ASSETS.answer(hash, path, "", ""), None, "{hash} {path}");
    }
}

#[test]
fn a_caller_gets_the_smallest_form_that_it_takes() {
    for (accepts, script, image) in [
        ("gzip, deflate, br, zstd", "br", "gz"),
        ("gzip", "gz", "gz"),
        ("BR;q=0.5, gzip;q=1.0", "br", "gz"),
        ("br;q=0, *", "gz", "gz"),
        ("br; q=0, gzip;q=0.000", "plain", "plain"),
        ("*", "br", "gz"),
        ("*;q=0", "plain", "plain"),
        ("identity", "plain", "plain"),
        ("", "plain", "plain"),
        ("brotli, gzipped;q=x", "plain", "plain"),
    ] {
        for (path, expected) in [("a.js", script), ("b.png", image)] {
            let answer = ASSETS.answer("0011", path, accepts, "").unwrap();
            assert_eq!(answer.body, Some(expected.as_bytes()), "{path}: {accepts}");
            let named = answer.headers.iter().find(|(name, _)| *name == "content-encoding").map(|(_, word)| *word);
            let word = match expected {
                "br" => Some("br"),
                "gz" => Some("gzip"),
                _ => None,
            };
            assert_eq!(named, word, "{path}: {accepts}");
            assert!(answer.headers.contains(&("vary", "accept-encoding")), "{path}: {accepts}");
        }
    }
}

#[test]
fn what_the_caller_has_is_not_sent_again() {
    for tags in ["W/\"0011\"", "\"0011\"", "\"x\", W/\"0011\"", "*"] {
        assert_eq!(ASSETS.answer("0011", "a.js", "br", tags).unwrap().body, None, "{tags}");
    }
    for tags in ["", "\"0012\"", "W/\"00\"", "\"x\"", "0011"] {
        assert_eq!(ASSETS.answer("0011", "a.js", "br", tags).unwrap().body, Some(&b"br"[..]), "{tags}");
    }
}

#[test]
fn a_page_names_the_modules_of_its_own_first_view() {
    assert_eq!(ASSETS.page.write("/", "first"), "<head>entry, fleet<body>first</body>");
    assert_eq!(ASSETS.page.write("/elsewhere", ""), "<head>entry<body></body>");
}

#[test]
fn nothing_in_a_text_becomes_markup() {
    let hostile = "</script><img src=x onerror='alert(1)' title=\"&\">";
    assert_eq!(escape(hostile), "&lt;/script&gt;&lt;img src=x onerror=&#39;alert(1)&#39; title=&quot;&amp;&quot;&gt;");
    let first = first_values(&format!("{{\"name\":{hostile:?}}}"));
    assert_eq!(first.matches('<').count(), 2, "{first}");
    assert!(first.contains("\\u003c/script>\\u003cimg"), "{first}");
}
