//! Finds scenario files: by path, by bare name, or all of a folder.

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
            let asked_for_planted = path.file_name().is_some_and(|name| name == PLANTED);
            return self.load_all(path, asked_for_planted);
        }
        let folder = self.root.join(wanted);
        if folder.is_dir() {
            return self.load_all(&folder, wanted == PLANTED);
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
        self.load_all(&self.root.clone(), true)
    }

    /// The planted scenarios.
    pub fn planted(&self) -> Result<Vec<Named>, LoadError> {
        self.load_all(&self.root.join(PLANTED), true)
    }

    fn load_all(&self, folder: &Path, with_planted: bool) -> Result<Vec<Named>, LoadError> {
        let files = files_below(folder)?;
        let is_wanted = |file: &&PathBuf| with_planted || !file.components().any(|part| part.as_os_str() == PLANTED);
        files.iter().filter(is_wanted).map(|file| load(file)).collect()
    }
}

fn load(path: &Path) -> Result<Named, LoadError> {
    let text = std::fs::read_to_string(path).map_err(|error| LoadError::Io { path: path.to_owned(), error })?;
    let properties = check::all();
    let known: Vec<&str> =
        properties.iter().map(|(name, _)| *name).chain(check::OF_SCENARIOS.map(|(name, _)| name)).collect();
    let shown = path.display().to_string();
    let scenario = Scenario::parse(&shown, &text, &known).map_err(LoadError::Scenario)?;
    Ok(Named { name: name_of(path), path: shown, scenario })
}

/// Every `*.json` below a folder that is a scenario by its name; sorted, because directory listings are not.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let fail = |error| LoadError::Io { path: folder.to_owned(), error };
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            match () {
                () if path.is_dir() => folders.push(path),
                () if path.extension().is_some_and(|extension| extension == "json") && name_of(&path) != "schema" => {
                    files.push(path)
                }
                () => {}
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
