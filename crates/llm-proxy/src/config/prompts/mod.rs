//! The prompts that the config names: read, checked and parsed with it, so that a config with a bad prompt is refused
//! as one with a bad backend is.

mod file;
mod front;
mod host;
pub(super) mod template;
#[cfg(test)]
mod tests;
mod text;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::decode;
use super::diagnostic::Diagnostic;
use super::fields::prompts::PROMPT;
use super::findings::Findings;
use super::formats;
use super::meaning::Audience;
use super::prices;
use super::source;
use super::tree::Node;
use super::types::{FileSource, Prompt};
use super::vars::World;
use super::view::View;
use crate::base::secret::digest;

/// So many files of one folder are read.
const FILES: usize = 1_000;

/// What prompts are read with.
struct Reading<'a> {
    world: World<'a>,
    audience: Audience<'a>,
}

/// Reads all prompts, in the config's order, a folder's by their names. What is wrong with an inline one goes to
/// `findings`, what is wrong in a file is returned.
pub(super) fn read(
    root: &Node,
    world: World<'_>,
    findings: &mut Findings<'_>,
) -> (Vec<Prompt>, Vec<Diagnostic>) {
    let top = View::top(root);
    let reading = Reading {
        world,
        audience: Audience::new(&top),
    };
    let (mut prompts, mut found, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    for item in top.sections("system_prompts", &PROMPT) {
        if item.get("text").is_some() {
            prompts.extend(inline(&item, &reading, findings));
            continue;
        }
        for path in paths(&item, world.dir, findings) {
            if seen.insert(fs::canonicalize(&path).unwrap_or_else(|_| path.clone())) {
                prompts.extend(file::read(&path, &reading, &mut found));
            } else {
                let node = item.get("file").or_else(|| item.get("dir"));
                let message = format!("`{}` is named twice; it is put in once", path.display());
                findings.warn(node.map_or_else(|| item.span("file"), |node| node.span), message);
            }
        }
    }
    (prompts, found)
}

fn inline(item: &View<'_>, reading: &Reading<'_>, findings: &mut Findings<'_>) -> Option<Prompt> {
    reading.audience.check(item, findings);
    let node = item.get("text")?;
    let settings = decode::prompt(item);
    let place = text::Place::Value(node.span);
    let template = text::template(node.text()?, place, &settings, reading, findings)?;
    Some(Prompt {
        file: None,
        template,
        settings,
    })
}

/// The files of an item. What is not there was told by `meaning`.
fn paths(item: &View<'_>, dir: &Path, findings: &mut Findings<'_>) -> Vec<PathBuf> {
    let path = |key| item.read(key, |text| Some(formats::path(text, dir)));
    if let Some(folder) = path("dir").filter(|folder| folder.is_dir()) {
        return in_folder(&folder).unwrap_or_else(|why| {
            findings.error(item.span("dir"), format!("cannot read the folder: {why}"));
            Vec::new()
        });
    }
    path("file").filter(|file| file.is_file()).into_iter().collect()
}

/// The `*.md` of a folder by their names; not those of folders in it, and none that is hidden.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| error.to_string())?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // What is neither file nor folder could keep the reader waiting; a link to nothing is told when it is read.
        let other = fs::metadata(&path).is_ok_and(|meta| !meta.is_file());
        if name.ends_with(".md") && !name.starts_with('.') && !other {
            files.push(path);
        }
        if files.len() > FILES {
            return Err(format!("there are more than {FILES} prompts in it"));
        }
    }
    files.sort();
    Ok(files)
}

impl FileSource {
    /// The folder in which a change of it can be seen.
    pub fn folder(&self) -> &Path {
        match self {
            Self::Dir(folder) => folder,
            Self::File(file) => file.parent().unwrap_or(Path::new("")),
        }
    }

    /// What tells one state of its files from another.
    pub fn fingerprint(&self) -> [u8; 32] {
        let files = match self {
            Self::Dir(folder) => in_folder(folder).unwrap_or_default(),
            Self::File(file) => vec![file.clone()],
        };
        let each = files.iter().flat_map(|file| {
            let name = digest(file.as_os_str().as_encoded_bytes());
            let text = source::bytes(file, prices::LARGEST);
            [name, text.map_or([0; 32], |bytes| digest(&bytes))]
        });
        digest(&each.flatten().collect::<Vec<u8>>())
    }
}
