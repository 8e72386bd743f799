//! `model.bin`: version, name and revision of the model's kind, then variables (name, extents, type, numbers), at last
//! other names for some of them. Weights of 16 or 8 bits have a variable `…_scale` beside them, by which they were
//! multiplied: one number, or one for each row.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::models::checkpoint::Stored;
use crate::models::error::ModelError;
use crate::models::reader::{Defect, Reader};
use crate::models::{folder, numbers};

/// Version of the file format, and revision of Whisper's layout in it.
const VERSION: u32 = 6;
const REVISION: u32 = 3;
/// Longest name believed; the longest known has 55 bytes.
const LONGEST_NAME: usize = 256;
/// Most variables believed: those of the largest model with scales are some 2,000.
const MOST_VARIABLES: u32 = 1 << 16;
/// Most extents of a variable.
const MOST_EXTENTS: usize = 3;
/// Largest single number stored: a vector or matrix has more.
const SCALAR: usize = 4;

/// How numbers are stored, numbered as in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Float32,
    Int8,
    Int16,
    Int32,
    Float16,
    Bfloat16,
}

impl Type {
    const ALL: [Self; 6] = [Self::Float32, Self::Int8, Self::Int16, Self::Int32, Self::Float16, Self::Bfloat16];

    fn bytes(self) -> u64 {
        match self {
            Self::Float32 | Self::Int32 => 4,
            Self::Int16 | Self::Float16 | Self::Bfloat16 => 2,
            Self::Int8 => 1,
        }
    }
}

#[derive(Debug, Clone)]
struct Variable {
    dims: Vec<usize>,
    kind: Type,
    offset: u64,
    bytes: u64,
    /// The number itself, if it is one.
    scalar: [u8; SCALAR],
}

/// What is in a checked file.
#[derive(Debug)]
pub(super) struct Variables {
    path: PathBuf,
    file: File,
    variables: BTreeMap<String, Variable>,
    /// Other names of variables.
    aliases: BTreeMap<String, String>,
}

/// How a weight variable's numbers become floats.
enum Scales {
    None,
    /// One for all.
    One(f32),
    /// One for each of the rows.
    Each(Vec<f32>),
}

impl Variables {
    /// Walks the file at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, ModelError> {
        let (file, len) = folder::open(path)?;
        let (variables, aliases) = read(&file, len).map_err(|defect| defect.at(path))?;
        Ok(Self { path: path.to_owned(), file, variables, aliases })
    }

    /// The variable of this name, or that it is another name for, and its own name.
    fn get(&self, name: &str) -> Option<(&str, &Variable)> {
        let name = self.aliases.get(name).map_or(name, String::as_str);
        self.variables.get_key_value(name).map(|(name, variable)| (name.as_str(), variable))
    }

    /// Extents of a variable, the outermost first.
    pub(super) fn dims(&self, name: &str) -> Option<&[usize]> {
        self.get(name).map(|(_, variable)| variable.dims.as_slice())
    }

    /// Whether `name` is another name for `other`, or there is nothing of that name.
    pub(super) fn same(&self, name: &str, other: &str) -> bool {
        match (self.get(name), self.get(other)) {
            (Some((name, _)), Some((other, _))) => name == other,
            (one, _) => one.is_none(),
        }
    }

    /// Attention heads of `side`.
    pub(super) fn heads(&self, side: &str) -> Result<usize, String> {
        let name = format!("{side}/num_heads");
        let number = self.get(&name).and_then(|(_, variable)| whole(variable));
        number
            .and_then(|heads| usize::try_from(heads).ok())
            .ok_or_else(|| format!("it has no number of heads, variable '{name}'; convert it anew"))
    }

    /// Checks that a variable has these extents and can be read as floats.
    pub(super) fn check(&self, name: &str, wanted: &[usize]) -> Result<(), String> {
        let (own, variable) = self.get(name).ok_or_else(|| format!("there is no variable '{name}' in it"))?;
        if variable.dims != wanted {
            return Err(format!("variable '{name}' has the shape {:?}; {wanted:?} is expected", variable.dims));
        }
        let scale = self.get(&format!("{own}_scale")).map(|(_, scale)| scale);
        match (variable.kind, scale) {
            (Type::Float32 | Type::Float16 | Type::Bfloat16, None) => Ok(()),
            (Type::Int8 | Type::Int16, Some(scale)) => {
                if !matches!(scale.kind, Type::Float32 | Type::Float16 | Type::Bfloat16) {
                    return Err(format!("the scale of variable '{name}' is of type {:?}", scale.kind));
                }
                let one = scale.dims.iter().product::<usize>() == 1; // of believed extents, see `dims`
                if one || scale.dims == wanted[..1] {
                    Ok(())
                } else {
                    Err(format!("the scale of variable '{name}' has the shape {:?}", scale.dims))
                }
            }
            (kind, scale) => Err(format!(
                "variable '{name}' is of type {kind:?} {} a scale, which can't be read",
                if scale.is_some() { "with" } else { "without" }
            )),
        }
    }

    /// Checks that there is nothing beside the `known` variables that would change what the model computes.
    pub(super) fn check_others(&self, known: &[String]) -> Result<(), String> {
        let known: std::collections::BTreeSet<&str> =
            known.iter().filter_map(|name| self.get(name)).map(|(name, _)| name).collect();
        for (name, variable) in &self.variables {
            let scaled = name.strip_suffix("_scale").unwrap_or(name);
            if known.contains(scaled) {
                continue;
            }
            let flag = name.rsplit('/').next().unwrap_or(name);
            let number = whole(variable);
            let fine = match flag {
                "num_heads" | "alignment_heads" | "alignment_layer" => variable.dims.is_empty(),
                "pre_norm" => number == Some(1),
                "activation" => number == Some(3), // GELU
                _ => number == Some(0),
            };
            if !fine {
                return Err(format!(
                    "variable '{}' is none of Whisper's; convert the model anew, without options that change its layout",
                    name.escape_debug()
                ));
            }
        }
        Ok(())
    }

    /// The numbers of a variable's `rows`, or of all of it.
    pub(super) fn rows(&self, name: &str, rows: Option<Range<usize>>) -> Result<Stored, ModelError> {
        let bad = |reason: String| ModelError::NotAModel { path: self.path.clone(), reason };
        let missing = || bad(format!("there is no variable '{name}' in it"));
        let (own, variable) = self.get(name).ok_or_else(missing)?;
        let outer = variable.dims.first().copied().unwrap_or(1);
        let rows = rows.unwrap_or(0..outer);
        if rows.end > outer {
            return Err(missing());
        }
        let row = variable.bytes / outer.max(1) as u64;
        let bytes = self.bytes(variable, row * rows.start as u64, row * rows.len() as u64)?;
        let scales = match self.get(&format!("{own}_scale")) {
            None => Scales::None,
            Some((_, scale)) => self.scales(scale, &rows).map_err(|error| match error {
                ScaleError::Number => {
                    bad(format!("the scale of variable '{name}' is no positive number; convert it anew"))
                }
                ScaleError::Model(error) => error,
            })?,
        };
        Ok(match (variable.kind, scales) {
            (Type::Int8, Scales::Each(scales)) => {
                Stored::Bytes { numbers: bytes.into_iter().map(u8::cast_signed).collect(), scales }
            }
            (Type::Int8, Scales::One(scale)) => {
                let numbers = bytes.into_iter().map(u8::cast_signed).collect();
                Stored::Bytes { numbers, scales: vec![scale; rows.len()] }
            }
            (Type::Int16, scales) => {
                let width = bytes.len() / 2 / rows.len().max(1);
                let scale = |row: usize| match &scales {
                    Scales::Each(scales) => scales[row],
                    Scales::One(scale) => *scale,
                    Scales::None => 1.0,
                };
                let numbers = bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]])));
                Stored::Floats(numbers.enumerate().map(|(n, number)| number * scale(n / width.max(1))).collect())
            }
            (kind, _) => Stored::Floats(floats(kind, &bytes)),
        })
    }

    /// What the numbers of these rows are to be multiplied by.
    fn scales(&self, scale: &Variable, rows: &Range<usize>) -> Result<Scales, ScaleError> {
        let all = floats(scale.kind, &self.bytes(scale, 0, scale.bytes).map_err(ScaleError::Model)?);
        let inverse = |scale: &f32| {
            let inverse = scale.recip();
            (inverse.is_finite() && inverse > 0.0).then_some(inverse).ok_or(ScaleError::Number)
        };
        match all.as_slice() {
            [one] => Ok(Scales::One(inverse(one)?)),
            all => all
                .get(rows.clone())
                .unwrap_or_default()
                .iter()
                .map(inverse)
                .collect::<Result<_, _>>()
                .map(Scales::Each),
        }
    }

    /// So many bytes of a variable, from `from` on.
    fn bytes(&self, variable: &Variable, from: u64, count: u64) -> Result<Vec<u8>, ModelError> {
        // No more than the file had when it was walked.
        let mut bytes = vec![0; count as usize];
        let mut file = &self.file;
        let read = file.seek(SeekFrom::Start(variable.offset + from)).and_then(|_| file.read_exact(&mut bytes));
        read.map_err(|source| ModelError::Unreadable { path: self.path.clone(), source })?;
        Ok(bytes)
    }
}

enum ScaleError {
    /// It is no positive number.
    Number,
    Model(ModelError),
}

fn floats(kind: Type, bytes: &[u8]) -> Vec<f32> {
    match kind {
        Type::Float16 => numbers::halves(bytes),
        Type::Bfloat16 => numbers::brain_floats(bytes),
        Type::Float32 => numbers::singles(bytes),
        Type::Int8 => bytes.iter().map(|byte| f32::from(byte.cast_signed())).collect(),
        Type::Int16 => bytes.chunks_exact(2).map(|b| f32::from(i16::from_le_bytes([b[0], b[1]]))).collect(),
        Type::Int32 => bytes.chunks_exact(4).map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]) as f32).collect(),
    }
}

/// The whole number that a variable is, if it is one.
fn whole(variable: &Variable) -> Option<i32> {
    let [a, b, c, d] = variable.scalar;
    let number = match variable.kind {
        Type::Int8 => i32::from(a.cast_signed()),
        Type::Int16 => i32::from(i16::from_le_bytes([a, b])),
        Type::Int32 => i32::from_le_bytes([a, b, c, d]),
        _ => return None,
    };
    variable.dims.is_empty().then_some(number)
}

type Read2 = (BTreeMap<String, Variable>, BTreeMap<String, String>);

/// Walks a file of `len` bytes.
fn read(file: impl Read + Seek, len: u64) -> Result<Read2, Defect> {
    let mut file = Reader::new(file, len);
    let bad = |reason: String| Err(Defect::Bad(reason));
    if file.peek(8)?.starts_with(b"version ") {
        return bad("it is a Git LFS pointer, not the file it stands for; fetch that with `git lfs pull`".to_owned());
    }
    let version = file.u32()?;
    if version != VERSION {
        return bad(format!(
            "it has version {version} of CTranslate2's file format, or is none; {VERSION} can be read: convert it anew"
        ));
    }
    let kind = name(&mut file)?;
    if kind != "WhisperSpec" {
        return bad(format!("it is of the kind '{}'; only WhisperSpec can be used", kind.escape_debug()));
    }
    let revision = file.u32()?;
    if revision != REVISION {
        return bad(format!("it has revision {revision} of WhisperSpec; {REVISION} can be read: convert it anew"));
    }
    let count = file.u32()?;
    if count > MOST_VARIABLES {
        return bad(format!("it has {count} variables; at most {MOST_VARIABLES} are believed"));
    }
    let mut variables = BTreeMap::new();
    for _ in 0..count {
        let name = name(&mut file)?;
        let variable = variable(&mut file, &name)?;
        if variables.insert(name.clone(), variable).is_some() {
            return bad(format!("variable '{}' is there twice", name.escape_debug()));
        }
    }
    let count = file.u32()?;
    if count > MOST_VARIABLES {
        return bad(format!("it has {count} other names of variables; at most {MOST_VARIABLES} are believed"));
    }
    let mut aliases = BTreeMap::new();
    for _ in 0..count {
        let (alias, name) = (name(&mut file)?, name(&mut file)?);
        // A name for a name would let them go in circles.
        if !variables.contains_key(&name) || variables.contains_key(&alias) {
            let (alias, name) = (alias.escape_debug(), name.escape_debug());
            return bad(format!("'{alias}' is to be another name of '{name}', which can't be"));
        }
        if aliases.insert(alias.clone(), name).is_some() {
            return bad(format!("'{}' is another name of two variables", alias.escape_debug()));
        }
    }
    if !file.at_end() {
        return bad(format!("{} bytes stand behind what is told; download it again", file.left()));
    }
    Ok((variables, aliases))
}

/// A name: length with the zero at its end, bytes, the zero.
fn name(file: &mut Reader<impl Read + Seek>) -> Result<String, Defect> {
    let mut length = [0; 2];
    file.fill(&mut length)?;
    let length = usize::from(u16::from_le_bytes(length));
    if !(1..=LONGEST_NAME).contains(&length) {
        return Err(Defect::Bad(format!("a name has {length} bytes; at most {LONGEST_NAME} are believed")));
    }
    let mut bytes = vec![0; length];
    file.fill(&mut bytes)?;
    match bytes.pop() {
        Some(0) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        _ => Err(Defect::Bad("a name does not end with a zero; download it again".to_owned())),
    }
}

/// A variable behind its name; its numbers are passed over.
fn variable(file: &mut Reader<impl Read + Seek>, name: &str) -> Result<Variable, Defect> {
    let bad = |reason: String| Err(Defect::Bad(format!("variable '{}' {reason}", name.escape_debug())));
    let mut byte = [0; 1];
    file.fill(&mut byte)?;
    let extents = usize::from(byte[0]);
    if extents > MOST_EXTENTS {
        return bad(format!("has {extents} extents; at most {MOST_EXTENTS} are believed"));
    }
    let mut dims = Vec::with_capacity(extents);
    for _ in 0..extents {
        dims.push(file.u32()? as usize);
    }
    file.fill(&mut byte)?;
    let Some(kind) = Type::ALL.get(usize::from(byte[0])).copied() else {
        return bad(format!("is of type {}, which there is not", byte[0]));
    };
    let bytes = u64::from(file.u32()?);
    let numbers = dims.iter().try_fold(1u64, |product, extent| product.checked_mul(*extent as u64));
    if numbers.and_then(|numbers| numbers.checked_mul(kind.bytes())) != Some(bytes) {
        return bad(format!("has {bytes} bytes, which do not fit its shape {dims:?} of {kind:?}"));
    }
    let offset = file.position();
    let mut scalar = [0; SCALAR];
    if dims.is_empty() {
        file.fill(&mut scalar[..bytes as usize])?; // at most four
    } else {
        file.skip(bytes, name)?;
    }
    Ok(Variable { dims, kind, offset, bytes, scalar })
}
