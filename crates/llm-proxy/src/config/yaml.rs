//! YAML text to a tree: the only file that knows the YAML crate.
//!
//! It reads events, not serde: spans of keys, every duplicate key and not the first alone, and no way for
//! an alias to blow up (each use of one is paid for out of `NODES`, and nesting is counted through aliases).

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Options, Parser, ScalarStyle, ScanError, Span as Mark};

use super::findings::Findings;
use super::tree::{Entry, Node, Scalar, Span, Value};

/// Values in a file, those that aliases repeat included.
const NODES: usize = 100_000;
/// How deep it may nest, through aliases too; the passes after this one recurse.
const DEPTH: usize = 32;

/// Reads a map of keys and values. `text` is the beginning of `findings.text`, and `what` is what messages call it.
/// None: an error that ends the reading was noted. An empty text is an empty map.
pub(crate) fn read(text: &str, what: &str, findings: &mut Findings<'_>) -> Option<Node> {
    let mut builder = Builder::new(what);
    for event in Parser::new_from_str_with_options(text, options()) {
        let outcome = match event {
            Ok((event, mark)) => builder.event(event, span(&mark), findings),
            Err(error) => Err(broken(&error, text)),
        };
        if let Err(stop) = outcome {
            findings.hide_keys_near(stop.span);
            findings.error_with(stop.span, stop.message, stop.help);
            return None;
        }
    }
    let empty = Node {
        span: Span {
            line: 1,
            column: 1,
            ..Span::default()
        },
        value: Value::Map(Vec::new()),
    };
    let root = builder.root.unwrap_or_else(|| empty.clone());
    match root.value {
        Value::Map(_) => Some(root),
        Value::Null => Some(empty),
        _ => {
            findings.hide_keys_near(root.span);
            findings.error(root.span, format!("{what} is a map of keys and values"));
            None
        }
    }
}

fn options() -> Options {
    let mut options = Options::default();
    options.emit_comments = false;
    options.flow_nesting_limit = DEPTH;
    options.block_nesting_limit = DEPTH;
    options
}

/// An error after which the rest of the file cannot be read.
struct Stop {
    span: Span,
    message: String,
    help: Option<String>,
}

impl Stop {
    fn new(span: Span, message: &str) -> Self {
        Self {
            span,
            message: message.to_owned(),
            help: None,
        }
    }
}

/// A syntax error in our words: the parser's own, but for tabs, which need plainer ones.
fn broken(error: &ScanError, text: &str) -> Stop {
    let marker = error.marker();
    let start = marker.byte_offset().unwrap_or(text.len());
    let span = Span {
        start,
        end: start + 1,
        line: marker.line(),
        column: marker.col() + 1,
    };
    let line = text.lines().nth(span.line.saturating_sub(1)).unwrap_or_default();
    let indent = line
        .get(..line.len() - line.trim_start().len())
        .unwrap_or_default();
    if indent.contains('\t') {
        return Stop::new(span, "YAML does not allow tabs for indentation; use spaces");
    }
    // `[${A}]` and `{k: ${A}}`: to YAML, the brace begins a map.
    let variable = text.get(..start).is_some_and(|head| head.ends_with('$'));
    let help = variable.then(|| "inside `[]` and `{}`, put quotes round it: \"${VAR}\"".to_owned());
    let message = format!("this is not YAML: {}", error.info());
    Stop { span, message, help }
}

fn span(mark: &Mark) -> Span {
    let start = mark.start.byte_offset().unwrap_or_default();
    let end = mark.end.byte_offset().unwrap_or(start);
    Span {
        start,
        end: end.max(start),
        line: mark.start.line(),
        column: mark.start.col() + 1,
    }
}

/// A collection that is being read.
struct Frame {
    open: Open,
    span: Span,
    anchor: usize,
    depth: usize,
}

/// What has been read of it.
enum Open {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        seen: HashSet<String>,
        key: Option<(String, Span)>,
    },
}

/// A node that an alias may repeat, with what a repetition costs.
struct Anchored {
    node: Node,
    depth: usize,
    nodes: usize,
}

struct Builder<'a> {
    what: &'a str,
    frames: Vec<Frame>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    root: Option<Node>,
}

impl<'a> Builder<'a> {
    fn new(what: &'a str) -> Self {
        Self {
            what,
            frames: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
            root: None,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span, findings: &mut Findings<'_>) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = Node {
                    span,
                    value: scalar(text, style),
                };
                self.anchor(anchor, &node, 0);
                self.place(node, 0, findings)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Open::List(Vec::new()), span, anchor),
            Event::MappingStart(_, anchor, _) => {
                let open = Open::Map {
                    entries: Vec::new(),
                    seen: HashSet::new(),
                    key: None,
                };
                self.open(open, span, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span, findings),
            Event::Alias(id) => self.alias(id, span, findings),
            Event::DocumentStart(..) if self.root.is_some() => {
                let message = format!("{} is one YAML document, not several", self.what);
                Err(Stop::new(span, &message))
            }
            _ => Ok(()),
        }
    }

    fn open(&mut self, open: Open, span: Span, anchor: usize) -> Result<(), Stop> {
        if let Some(Frame {
            open: Open::Map { key: None, .. },
            ..
        }) = self.frames.last()
        {
            return Err(Stop::new(span, "a key must be a plain text, not a list or a map"));
        }
        if self.frames.len() >= DEPTH {
            return Err(Stop::new(span, "this is nested too deeply"));
        }
        self.frames.push(Frame {
            open,
            span,
            anchor,
            depth: 0,
        });
        Ok(())
    }

    fn close(&mut self, end: Span, findings: &mut Findings<'_>) -> Result<(), Stop> {
        let Some(frame) = self.frames.pop() else {
            return Ok(());
        };
        let value = match frame.open {
            Open::List(items) => Value::List(items),
            Open::Map { entries, .. } => Value::Map(merged(entries)),
        };
        let span = Span {
            end: end.end.max(frame.span.end),
            ..frame.span
        };
        let node = Node { span, value };
        self.anchor(frame.anchor, &node, frame.depth);
        self.place(node, frame.depth, findings)
    }

    /// Remembers a node for the aliases that may follow; 0: it has no anchor.
    fn anchor(&mut self, id: usize, node: &Node, depth: usize) {
        if id != 0 {
            let nodes = count(node);
            self.anchors.insert(
                id,
                Anchored {
                    node: node.clone(),
                    depth,
                    nodes,
                },
            );
        }
    }

    fn alias(&mut self, id: usize, span: Span, findings: &mut Findings<'_>) -> Result<(), Stop> {
        let Some(anchored) = self.anchors.get(&id) else {
            return Err(Stop::new(span, "this alias stands inside of what it repeats"));
        };
        if self.nodes + anchored.nodes > NODES {
            return Err(Stop::new(span, "the aliases in this file repeat too much"));
        }
        self.nodes += anchored.nodes;
        let (node, depth) = (anchored.node.clone(), anchored.depth);
        self.place(node, depth, findings)
    }

    /// Puts a node where it belongs: into the open collection, as its next key, or as the root.
    fn place(&mut self, node: Node, depth: usize, findings: &mut Findings<'_>) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES {
            return Err(Stop::new(node.span, "there are too many values in this file"));
        }
        if self.frames.len() + depth > DEPTH {
            return Err(Stop::new(node.span, "this is nested too deeply"));
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        frame.depth = frame.depth.max(depth + 1);
        match &mut frame.open {
            Open::List(items) => items.push(node),
            Open::Map { entries, seen, key } => match key.take() {
                Some((key, key_span)) => entries.push(Entry { key, key_span, node }),
                None => *key = Some(name(node, seen, findings)?),
            },
        }
        Ok(())
    }
}

/// A scalar as a key; one that was there before is an error, but the reading goes on.
fn name(node: Node, seen: &mut HashSet<String>, findings: &mut Findings<'_>) -> Result<(String, Span), Stop> {
    let text = match node.value {
        Value::Scalar(scalar) => scalar.text,
        Value::Null => "null".to_owned(),
        _ => {
            return Err(Stop::new(
                node.span,
                "a key must be a plain text, not a list or a map",
            ));
        }
    };
    if !seen.insert(text.clone()) {
        findings.error(node.span, format!("the key `{text}` is there twice"));
    }
    Ok((text, node.span))
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Value {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar(Scalar {
        text: text.into_owned(),
        plain,
    })
}

/// Follows merge keys (`<<: *base`): what the map itself says wins.
fn merged(entries: Vec<Entry>) -> Vec<Entry> {
    let (merges, mut own): (Vec<Entry>, Vec<Entry>) = entries
        .into_iter()
        .partition(|e| e.key == "<<" && !matches!(e.node.value, Value::Scalar(_)));
    let mut seen: HashSet<String> = own.iter().map(|entry| entry.key.clone()).collect();
    for base in merges.iter().flat_map(|merge| merge.node.items()) {
        own.extend(
            base.entries()
                .iter()
                .filter(|entry| seen.insert(entry.key.clone()))
                .cloned(),
        );
    }
    own
}

/// How many nodes there are in it. It nests at most `DEPTH` deep.
fn count(node: &Node) -> usize {
    1 + match &node.value {
        Value::List(items) => items.iter().map(count).sum(),
        Value::Map(entries) => entries.iter().map(|entry| count(&entry.node)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> (Option<Node>, Vec<String>) {
        let mut findings = Findings::new("c.yaml", text);
        let root = read(text, "a config file", &mut findings);
        (
            root,
            findings
                .into_diagnostics()
                .iter()
                .map(ToString::to_string)
                .collect(),
        )
    }

    #[test]
    fn keys_and_values_know_their_places() {
        let (root, found) = read_text("a: 1\nb:\n  - x\n  - {k: \"v\"}\n");
        assert!(found.is_empty(), "{found:?}");
        let root = root.unwrap();
        let b = root.get("b").unwrap();
        let v = b.items()[1].get("k").unwrap();
        assert_eq!((v.span.line, v.span.column, v.text()), (4, 9, Some("v")));
        assert_eq!(root.entries()[1].key_span.line, 2);
    }

    #[test]
    fn aliases_and_merge_keys_repeat_and_the_map_itself_wins() {
        let (root, found) = read_text("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a\n");
        assert!(found.is_empty(), "{found:?}");
        let root = root.unwrap();
        let b = root.get("b").unwrap();
        assert_eq!(b.get("x").unwrap().text(), Some("1"));
        assert_eq!(b.get("y").unwrap().text(), Some("3"));
        assert_eq!(root.get("c").unwrap().get("y").unwrap().text(), Some("2"));
    }

    #[test]
    fn every_duplicate_key_is_told_and_the_rest_is_read() {
        let (root, found) = read_text("a: 1\na: 2\nb: {c: 1, c: 2}\n");
        assert!(root.is_some());
        assert_eq!(
            found,
            [
                "c.yaml:2:1: the key `a` is there twice",
                "c.yaml:3:11: the key `c` is there twice"
            ]
        );
    }

    #[test]
    fn bombs_of_aliases_and_of_nesting_are_refused() {
        let chain = |item: &dyn Fn(usize) -> String| {
            let lines = (1..40).map(|n| format!("a{n}: &a{n} [{}]\n", item(n - 1)));
            lines.fold("a0: &a0 [x, x, x, x]\n".to_owned(), |text, line| text + &line)
        };
        let wide = chain(&|n| vec![format!("*a{n}"); 10].join(","));
        let deep = chain(&|n| format!("*a{n}"));
        for (bomb, message) in [
            (wide, "the aliases in this file repeat too much"),
            (deep, "this is nested too deeply"),
            ("[".repeat(10_000), "this is not YAML"),
            (
                "a: &a [*a]".to_owned(),
                "this alias stands inside of what it repeats",
            ),
        ] {
            let (root, found) = read_text(&bomb);
            assert!(root.is_none());
            assert!(found[0].contains(message), "{found:?}");
        }
    }
}
