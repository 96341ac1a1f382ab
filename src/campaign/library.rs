//! Finds scenario files: by path, by bare name, or all of a folder.
#![expect(clippy::disallowed_methods, reason = "scenarios are files")]

use std::fmt;
use std::path::{Path, PathBuf};

use crate::check;
use crate::scenario::{Scenario, ScenarioError};

/// A scenario and the file it came from.
#[derive(Clone, Debug)]
pub struct Named {
    /// Name: the file name without `.json`.
    pub name: String,
    /// Path as a user would type it.
    pub path: String,
    /// What the file says.
    pub scenario: Scenario,
}

/// The scenario files below one root.
#[derive(Clone, Debug)]
pub struct Library {
    root: PathBuf,
}

/// Why a scenario cannot be had.
#[derive(Debug)]
#[expect(missing_docs, reason = "a variant's sentence names its fields")]
pub enum LoadError {
    /// Nothing of that name.
    Unknown { wanted: String, nearest: Option<String> },
    /// The file cannot be read.
    Io { path: PathBuf, error: std::io::Error },
    /// The file is not even text.
    NotText { path: PathBuf, at: usize, found: u8 },
    /// The file is not a scenario.
    Scenario(ScenarioError),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Unknown { wanted, nearest: Some(nearest) } => {
                write!(f, "no scenario is called \"{wanted}\"; did you mean \"{nearest}\"?")
            }
            LoadError::Unknown { wanted, nearest: None } => {
                write!(f, "no scenario is called \"{wanted}\"; `kraftbed list scenarios` shows them")
            }
            LoadError::Io { path, error } => write!(f, "{}: {error}", path.display()),
            LoadError::NotText { path, at, found } => {
                write!(f, "{}: found byte 0x{found:02x} at {at}, expected JSON in UTF-8", path.display())
            }
            LoadError::Scenario(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl Library {
    /// The library in a folder, usually `scenarios`.
    pub fn new(root: impl Into<PathBuf>) -> Library {
        Library { root: root.into() }
    }

    /// What one word of a command line means: a file, a folder (without its `planted`), or a bare name.
    pub fn find(&self, wanted: &str) -> Result<Vec<Named>, LoadError> {
        let path = Path::new(wanted);
        if path.is_file() {
            return Ok(vec![load(path)?]);
        }
        if path.is_dir() {
            return sound_below(path);
        }
        let folder = self.root.join(wanted);
        if folder.is_dir() {
            return sound_below(&folder);
        }
        let files = files_below(&self.root)?;
        let stem = wanted.strip_suffix(".json").unwrap_or(wanted);
        let by_name =
            files.iter().find(|file| name_of(file) == stem || file.strip_prefix(&self.root) == Ok(Path::new(wanted)));
        match by_name {
            Some(file) => Ok(vec![load(file)?]),
            None => Err(LoadError::Unknown { wanted: wanted.to_owned(), nearest: nearest(stem, &files) }),
        }
    }

    /// Every scenario, planted ones included, by path.
    pub fn all(&self) -> Result<Vec<Named>, LoadError> {
        files_below(&self.root)?.iter().map(|file| load(file)).collect()
    }

    /// Every scenario but the planted ones, by path.
    pub fn sound(&self) -> Result<Vec<Named>, LoadError> {
        sound_below(&self.root)
    }

    /// The planted scenarios.
    pub fn planted(&self) -> Result<Vec<Named>, LoadError> {
        files_below(&self.root.join(PLANTED))?.iter().map(|file| load(file)).collect()
    }
}

/// The scenarios below a folder without those of a folder `planted` below it. Of `planted` itself that is all.
fn sound_below(folder: &Path) -> Result<Vec<Named>, LoadError> {
    let is_planted = |file: &Path| {
        let below = file.strip_prefix(folder).unwrap_or(file);
        below.components().any(|part| part.as_os_str() == PLANTED)
    };
    files_below(folder)?.iter().filter(|file| !is_planted(file)).map(|file| load(file)).collect()
}

fn load(path: &Path) -> Result<Named, LoadError> {
    let bytes = std::fs::read(path).map_err(|error| LoadError::Io { path: path.to_owned(), error })?;
    let not_text = |error: std::string::FromUtf8Error| LoadError::NotText {
        path: path.to_owned(),
        at: error.utf8_error().valid_up_to(),
        found: error.as_bytes()[error.utf8_error().valid_up_to()],
    };
    let text = String::from_utf8(bytes).map_err(not_text)?;
    let properties = check::all();
    let known: Vec<&str> =
        properties.iter().map(|(name, _)| *name).chain(check::OF_SCENARIOS.map(|(name, _)| name)).collect();
    let shown = path.display().to_string();
    let scenario = Scenario::parse(&shown, &text, &known).map_err(LoadError::Scenario)?;
    Ok(Named { name: name_of(path), path: shown, scenario })
}

/// Every `*.json` below a folder that is a scenario by its name; sorted, because directory listings are not. Links to
/// folders are not followed, for they may lead in a circle.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let fail = |error| LoadError::Io { path: folder.clone(), error };
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            let is_json = path.extension().is_some_and(|extension| extension == "json");
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(path);
            } else if is_json && name_of(&path) != "schema" && path.is_file() {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

fn name_of(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn nearest(wanted: &str, files: &[PathBuf]) -> Option<String> {
    let names: Vec<String> = files.iter().map(|file| name_of(file)).collect();
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    crate::scenario::nearest(wanted, &known).map(str::to_owned)
}

const PLANTED: &str = "planted";
