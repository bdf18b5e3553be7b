//! Texts of people and devices inside a page.

/// Text as HTML text, or as the value of an attribute in quotes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// JSON as data for the page's scripts, which nothing in it ends early.
pub fn first_values(json: &str) -> String {
    // Outside of its texts JSON has no `<`.
    format!("<script type=\"application/json\" id=\"first\">{}</script>", json.replace('<', "\\u003c"))
}
