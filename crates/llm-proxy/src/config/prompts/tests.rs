//! Prompts of a config in a folder, and every word that is said about them.

use std::path::{Path, PathBuf};

use crate::config::types::{Config, PromptPosition};
use crate::config::{Loaded, Piece, Report, parse};

/// A folder with files in it, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = Self(std::env::temp_dir().join(format!("llm-proxy-{name}-{}", std::process::id())));
        for (file, text) in files {
            folder.write(file, text.as_bytes());
        }
        folder
    }

    fn write(&self, file: &str, bytes: &[u8]) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    /// The config with these prompts. It has the aliases `m` and `gpt-5`, and the key `team`.
    fn load(&self, prompts: &str) -> Result<Loaded, Report> {
        let yaml = format!(
            "system_prompts: {prompts}\n\
             backends: [{{name: a, protocol: openai, url: 'http://a'}}]\n\
             models: {{m: {{backend: a}}, gpt-5: {{backend: a}}}}\n\
             api_keys: {{name: team, key: '${{KEY}}'}}\n"
        );
        let env = |name: &str| (name == "KEY").then(|| "0123456789abcdef".to_owned());
        parse(&yaml, "c.yaml", &self.0, &env)
    }

    fn config(&self, prompts: &str) -> Config {
        self.load(prompts)
            .unwrap_or_else(|report| panic!("{report}"))
            .config
    }

    /// All that is said of it, a line each, with paths as the config says them.
    fn told(&self, prompts: &str) -> Vec<String> {
        let found = match self.load(prompts) {
            Ok(loaded) => loaded.warnings,
            Err(report) => report.0,
        };
        let here = format!("{}/", self.0.display());
        let lines = found.iter().map(|one| one.to_string().replace(&here, ""));
        lines
            .filter(|line| !line.contains("has no effect in this version"))
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Names and texts, in the config's order.
fn texts(config: &Config) -> Vec<String> {
    let text = |piece: &Piece| match piece {
        Piece::Literal(text) => text.to_string(),
        Piece::Variable(variable) => format!("<{variable:?}>"),
    };
    let all = config.system_prompts.iter().map(|prompt| {
        let text: String = prompt.template.pieces().iter().map(text).collect();
        format!("{}: {text}", prompt.file.as_deref().unwrap_or("-"))
    });
    all.collect()
}

#[test]
fn folders_files_and_texts_are_read() {
    let folder = Folder::new(
        "prompts-read",
        &[
            ("prompts/b.md", "It is ${_DATE}.\n"),
            ("prompts/a.md", "\u{feff}---\npriority: 5\n---\n\nKey: ${KEY}\r\n"),
            ("prompts/notes.txt", "${_NOT_READ}"),
            ("prompts/.hidden.md", "${_NOT_READ}"),
            ("prompts/deeper/c.md", "${_NOT_READ}"),
            ("prompts/folder.md/c.md", "${_NOT_READ}"),
            ("team.md", "Be kind."),
        ],
    );
    let config = folder.config("[{text: 'In $${x} ${_MODEL}.'}, {dir: prompts}, {file: team.md}]");
    assert_eq!(
        texts(&config),
        [
            "-: In ${x} <Model>.",
            "a.md: Key: 0123456789abcdef",
            "b.md: It is <Date>.",
            "team.md: Be kind.",
        ]
    );
    assert_eq!(config.sources.len(), 2);
}

#[test]
fn front_matter_has_the_settings_of_a_prompt() {
    let front = "---\nposition: after\nseparator: ' | '\nmodels: [gpt-*]\nkeys: team\npriority: -3\n\
                 enabled: false\n---\nA\n";
    let folder = Folder::new("prompts-front", &[("all.md", front), ("none.md", "A")]);
    let config = folder.config("[{file: all.md}, {file: none.md}]");
    let [all, none] = &config.system_prompts[..] else {
        panic!("{:?}", config.system_prompts);
    };
    let all = &all.settings;
    assert_eq!((all.position, &*all.separator), (PromptPosition::After, " | "));
    assert_eq!(
        (all.models[0].pattern(), all.keys[0].pattern()),
        ("gpt-*", "team")
    );
    assert_eq!((all.priority, all.enabled), (-3, false));
    let none = &none.settings;
    assert_eq!(
        (none.position, &*none.separator),
        (PromptPosition::Before, "\n\n")
    );
    assert_eq!((none.models[0].pattern(), none.keys[0].pattern()), ("*", "*"));
    assert_eq!((none.priority, none.enabled), (100, true));
}

/// What stands in `p.md`, and what is said of it.
const FILES: &[(&str, &[&str])] = &[
    (
        "Hello\n  é ${_MODLE} and ${GONE}\n",
        &[
            "p.md:2:5: there is no variable `${_MODLE}`; did you mean `_MODEL`?",
            "p.md:2:19: the environment variable `GONE` is not set; set it, or give a default: `${GONE:-...}`",
        ],
    ),
    (
        "---\npriority: 1\n---\n\nfirst\n${x\n",
        &["p.md:6:1: `${` has no `}` in its line; write `$${` for a literal `${`"],
    ),
    (
        "---\npriorty: 1\nposition: below\nenabled: maybe\ntext: x\n---\n${_X}",
        &[
            "p.md:2:1: unknown key `priorty`; did you mean `priority`?",
            "p.md:3:11: `position` must be one of `before`, `after` or `replace`, not `below`",
            "p.md:4:10: `enabled` must be `true` or `false`, not `maybe`",
            "p.md:5:1: unknown key `text`",
            "p.md:7:1: there is no variable `${_X}`",
        ],
    ),
    (
        "---\npriority: 1\npriority: 2\n---\nA",
        &["p.md:3:1: the key `priority` is there twice"],
    ),
    (
        "---\n- a\n---\nA",
        &["p.md:2:1: front matter is a map of keys and values"],
    ),
    (
        "---\nA\n",
        &[
            "p.md:1:1: the front matter has no end: a line `---`; without front matter, begin the file with something \
           else",
        ],
    ),
    (
        "---\nmodels: [gpt-5, gpt-6*]\nkeys: [team, x, '*']\n---\nA",
        &[
            "p.md:2:17: `gpt-6*` fits no alias",
            "p.md:3:14: `x` fits no API key",
        ],
    ),
    ("\n", &["p.md:1:1: this prompt has no text, so nothing is put in"]),
    (
        "A ${_DATE}\n\nB ${_TIME} ${_TIME} ${_BACKEND}",
        &[
            "p.md:3:3: `${_TIME}` differs with every request, and what follows it is cached for none; each conversation \
           keeps its first text, but no two share a cache: use `position: after`, or `${_DATE}`",
        ],
    ),
    ("---\nposition: after\n---\n${_TIME} ${_REQUEST_ID}", &[]),
    ("---\nenabled: false\n---\n${_TIME}", &[]),
];

#[test]
fn what_is_wrong_in_a_file_is_told_with_its_own_line() {
    for (n, (text, expected)) in FILES.iter().enumerate() {
        let folder = Folder::new(&format!("prompts-wrong-{n}"), &[("d/p.md", text)]);
        for prompts in ["{file: d/p.md}", "{dir: d}"] {
            let told = folder.told(prompts);
            let told: Vec<&str> = told.iter().filter_map(|line| line.strip_prefix("d/")).collect();
            assert_eq!(told, *expected, "{text}");
        }
    }
}

/// Inline prompts, and what is said of them.
const INLINE: &[(&str, &[&str])] = &[
    (
        "{text: 'é ${_MODEL} ${_MODLE}'}",
        &["c.yaml:1:37: there is no variable `${_MODLE}`; did you mean `_MODEL`?"],
    ),
    (
        "\n- text: |\n    ${_X}\n    é ${_DATE}\n      ${_X}\n",
        &[
            "c.yaml:3:5: there is no variable `${_X}`",
            "c.yaml:5:7: there is no variable `${_X}`",
        ],
    ),
    (
        "[{text: A, models: none, keys: nobody}, {text: ''}]",
        &[
            "c.yaml:1:36: `none` fits no alias",
            "c.yaml:1:48: `nobody` fits no API key",
            "c.yaml:1:64: this prompt has no text, so nothing is put in",
        ],
    ),
    (
        "{text: 'Now ${_DATETIME}', position: replace}",
        &[
            "c.yaml:1:29: `${_DATETIME}` differs with every request, and what follows it is cached for none; each \
           conversation keeps its first text, but no two share a cache: use `position: after`, or `${_DATE}`",
        ],
    ),
];

#[test]
fn what_is_wrong_in_the_config_is_told_with_the_configs_line() {
    let folder = Folder::new("prompts-inline", &[]);
    for (prompts, expected) in INLINE {
        assert_eq!(folder.told(prompts), *expected, "{prompts}");
    }
}

#[test]
fn a_file_that_is_no_text_or_too_large_or_named_twice_is_told() {
    let folder = Folder::new("prompts-bytes", &[("a/same.md", "A")]);
    folder.write("b/latin.md", b"A\nB \xe9t\xe9");
    folder.write("c/large.md", &vec![b' '; (256 << 10) + 1]);
    folder.write("d/fits.md", &vec![b'x'; 256 << 10]);
    assert_eq!(folder.told("{dir: d}"), [""; 0]);
    assert_eq!(
        folder.told("[{dir: a}, {file: a/same.md}, {dir: b}, {dir: c}]"),
        [
            "b/latin.md:2:3: cannot read the prompt: from here on it is not UTF-8",
            "c/large.md: cannot read the prompt: it is larger than 256 KiB",
            "c.yaml:1:35: `a/same.md` is named twice; it is put in once",
        ]
    );
    assert_eq!(
        texts(&folder.config("[{dir: a}, {file: a/same.md}]")),
        ["same.md: A"]
    );
}

#[test]
fn an_error_in_a_file_is_shown_as_one_of_the_config_and_without_the_values_of_variables() {
    let folder = Folder::new("prompts-shown", &[("p.md", "Key ${KEY}, ${_X}.\n")]);
    let shown = folder.load("{file: p.md}").unwrap_err().render(false);
    let path = folder.0.join("p.md");
    let expected = format!(
        "error: there is no variable `${{_X}}`\n --> {}:1:13\n  |\n1 | Key ${{KEY}}, ${{_X}}.\n  |             ^^^^^",
        path.display()
    );
    assert!(shown.starts_with(&expected), "{shown}");
    assert!(!shown.contains("0123456789abcdef"), "{shown}");
}

#[test]
fn a_change_of_a_prompt_file_can_be_seen() {
    let folder = Folder::new("prompts-changed", &[("p/a.md", "A"), ("team.md", "A")]);
    let config = folder.config("[{dir: p}, {file: team.md}]");
    let [dir, file] = &config.sources[..] else {
        panic!("{:?}", config.sources);
    };
    assert_eq!((dir.folder(), file.folder()), (&*folder.0.join("p"), &*folder.0));
    let state = || (dir.fingerprint(), file.fingerprint());
    let before = state();
    assert_eq!(state(), before);
    folder.write("p/notes.txt", b"x");
    assert_eq!(state(), before, "what is no prompt changes nothing");
    folder.write("p/b.md", b"A");
    let more = state();
    assert!(more.0 != before.0 && more.1 == before.1);
    folder.write("team.md", b"B");
    assert_ne!(state().1, before.1);
    std::fs::rename(folder.0.join("p/b.md"), folder.0.join("p/c.md")).unwrap();
    assert_ne!(state().0, more.0, "names give the order");
}

#[cfg(unix)]
#[test]
fn what_would_keep_the_reader_waiting_is_not_read_and_a_link_to_nothing_is_told() {
    let folder = Folder::new("prompts-links", &[("p/a.md", "A")]);
    std::os::unix::fs::symlink(Path::new("nowhere"), folder.0.join("p/b.md")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.join("p/c.md")).unwrap();
    assert_eq!(
        folder.told("{dir: p}"),
        ["p/b.md: cannot read the prompt: there is no such file"]
    );
}
