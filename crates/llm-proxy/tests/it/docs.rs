//! The documents: their configs load, their links lead somewhere, the map of the code shows what is there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use llm_proxy::config;
use regex::Regex;

/// Where a path in `ARCHITECTURE.md` may begin.
const BASES: [&str; 5] = [
    "",
    "crates",
    "crates/llm-proxy/src",
    "crates/llm-dialect/src",
    "crates/llm-proxy/tests/it",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All files below a folder, by their path from the root, that end like this.
fn texts(folder: &str, ending: &str) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let path = folder.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.insert(path, fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    found
}

/// Every page: those at the root, all below `docs`, and that of the examples.
fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = texts("docs", ".md");
    pages.append(&mut texts("examples", ".md"));
    for entry in fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(&path).unwrap();
            pages.insert(path.file_name().unwrap().into(), text);
        }
    }
    pages
}

/// The fenced blocks of a page with that info string.
fn blocks<'a>(page: &'a str, info: &str) -> Vec<&'a str> {
    let fence = format!("\n```{info}\n");
    let rest = page.split(fence.as_str()).skip(1);
    rest.map(|rest| rest.split("\n```").next().unwrap()).collect()
}

#[test]
fn every_config_in_the_documents_loads_without_a_warning() {
    let env = |name: &str| Some(format!("value-of-{name}-0123456789"));
    let mut count = 0;
    for (path, page) in pages() {
        let mut whole = "";
        for block in blocks(&page, "yaml") {
            // A part stands for itself plus the last whole config of its page.
            let is_part = !block.contains("backends:");
            let text = if is_part {
                format!("{whole}\n{block}")
            } else {
                whole = block;
                block.to_owned()
            };
            let loaded = config::parse(&text, &path.to_string_lossy(), &root(), &env);
            let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.render(false)));
            assert!(
                loaded.warnings.is_empty(),
                "{}: {}\n{text}",
                path.display(),
                loaded.warnings[0]
            );
            count += 1;
        }
    }
    assert!(count >= 5, "only {count} configs found: where are the documents?");
}

/// The anchor that a heading gets where the pages are shown.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        c => c.is_alphanumeric().then(|| c.to_ascii_lowercase()),
    });
    kept.collect()
}

fn has_anchor(page: &str, wanted: &str) -> bool {
    let headings = page.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| line.trim_start_matches('#').trim())
        .any(|heading| anchor(heading) == wanted)
}

#[test]
fn every_link_leads_to_a_file_and_every_anchor_to_a_heading() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let pages = pages();
    let mut count = 0;
    for (path, page) in &pages {
        for found in link.captures_iter(page) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let aim = if file.is_empty() {
                root().join(path)
            } else {
                root().join(path).parent().unwrap().join(file)
            };
            assert!(aim.exists(), "{}: `{target}` leads nowhere", path.display());
            if !heading.is_empty() {
                let there = fs::read_to_string(&aim).unwrap();
                assert!(
                    has_anchor(&there, heading),
                    "{}: no heading for `{target}`",
                    path.display()
                );
            }
            count += 1;
        }
    }
    assert!(count >= 30, "only {count} links found");
}

#[test]
fn every_example_has_its_line() {
    let listed = fs::read_to_string(root().join("examples/README.md")).unwrap();
    for path in texts("examples", ".yaml").into_keys() {
        let name = path.file_name().unwrap().to_string_lossy();
        assert!(listed.contains(&format!("]({name})")), "{name} is not listed");
    }
}

#[test]
fn the_map_of_the_code_names_files_and_items_that_exist() {
    let map = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let code: String = [
        "crates/llm-proxy/src",
        "crates/llm-dialect/src",
        "crates/llm-proxy/tests",
    ]
    .into_iter()
    .flat_map(|folder| texts(folder, ".rs").into_values())
    .collect();
    let quoted = Regex::new("`([^`\n]+)`").unwrap();
    let file = Regex::new(r"^[\w./-]+(\.rs|/)$").unwrap();
    let item = Regex::new(r"^(?:\w+::)+(\w+)$|^([A-Z][a-z]+[A-Za-z]*)$").unwrap();
    let (mut files, mut items) = (0, 0);
    for word in quoted
        .captures_iter(&map)
        .map(|found| found.get(1).unwrap().as_str())
    {
        if file.is_match(word) {
            let exists = BASES.iter().any(|base| root().join(base).join(word).exists());
            assert!(exists, "ARCHITECTURE.md names `{word}`, which is not there");
            files += 1;
        } else if let Some(found) = item.captures(word).filter(|_| !word.starts_with("serde")) {
            let name = found.iter().skip(1).flatten().next().unwrap().as_str();
            let defined = Regex::new(&format!(r"\b(fn|struct|enum|trait|mod|type) {name}\b")).unwrap();
            let foreign = ["Bytes", "Arc", "Result"].contains(&name);
            assert!(
                foreign || defined.is_match(&code),
                "ARCHITECTURE.md names `{word}`, which is not there"
            );
            items += 1;
        }
    }
    assert!(
        files >= 30 && items >= 10,
        "only {files} files and {items} items found"
    );
}
