//! The tensors of a Whisper model: which there are, of what shape and type, as the header has it.

use std::collections::BTreeMap;

use crate::models::checkpoint::shape::Role;
use crate::models::checkpoint::ModelShape;

/// How ggml stores numbers.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TensorType {
    /// Number in a tensor's header.
    pub(super) id: i32,
    /// Number in the file's header, for most of its weights.
    file_type: i32,
    /// As ggml spells it.
    pub(super) name: &'static str,
    /// Numbers in a block.
    pub(super) block: u64,
    /// Bytes of a block.
    pub(super) bytes: u64,
}

const fn tensor_type(id: i32, file_type: i32, name: &'static str, block: u64, bytes: u64) -> TensorType {
    TensorType { id, file_type, name, block, bytes }
}

static F32: TensorType = tensor_type(0, 0, "f32", 1, 4);
static F16: TensorType = tensor_type(1, 1, "f16", 1, 2);

/// The quantised types that whisper.cpp's own tool writes.
static QUANTISED: [TensorType; 10] = [
    tensor_type(2, 2, "q4_0", 32, 18),
    tensor_type(3, 3, "q4_1", 32, 20),
    tensor_type(6, 8, "q5_0", 32, 22),
    tensor_type(7, 9, "q5_1", 32, 24),
    tensor_type(8, 7, "q8_0", 32, 34),
    tensor_type(10, 10, "q2_k", 256, 84),
    tensor_type(11, 11, "q3_k", 256, 110),
    tensor_type(12, 12, "q4_k", 256, 144),
    tensor_type(13, 13, "q5_k", 256, 176),
    tensor_type(14, 14, "q6_k", 256, 210),
];

/// The quantised types, for tests of each.
#[cfg(all(test, feature = "whisper-cpp"))]
pub(super) fn quantised() -> &'static [TensorType] {
    &QUANTISED
}

impl TensorType {
    /// The type that a file's header names.
    pub(super) fn of_file_type(file_type: i32) -> Option<&'static Self> {
        [&F32, &F16].into_iter().chain(&QUANTISED).find(|known| known.file_type == file_type)
    }

    /// Whether blocks of this version are laid out as today's.
    ///
    /// Version 2 changed the scales of some types but not those of `q5_0` and `q5_1`, of which older files abound.
    pub(super) fn accepts_version(&self, version: i32) -> bool {
        match self.name {
            "f32" | "f16" => (0..=2).contains(&version),
            "q5_0" | "q5_1" => (1..=2).contains(&version),
            _ => version == 2,
        }
    }
}

/// A tensor as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tensor {
    /// Extents, the innermost first.
    pub(super) shape: [i64; 3],
    /// Type of its numbers.
    pub(super) kind: &'static TensorType,
}

impl Tensor {
    /// Bytes of its numbers.
    pub(super) fn bytes(&self) -> Option<u64> {
        let mut numbers: u64 = 1;
        for extent in self.shape {
            numbers = numbers.checked_mul(u64::try_from(extent).ok()?)?;
        }
        (numbers / self.kind.block).checked_mul(self.kind.bytes)
    }
}

/// Why a tensor can't be taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// No such tensor belongs to the model.
    Unknown,
    /// It came before.
    Twice,
}

impl Problem {
    /// The problem in words.
    pub(super) fn of(&self, name: &str) -> String {
        match self {
            Self::Unknown => format!("tensor '{}' is not one of Whisper's", name.escape_default()),
            Self::Twice => format!("tensor '{name}' is there twice"),
        }
    }
}

/// The tensors of a model, those that were met marked off.
#[derive(Debug)]
pub(super) struct Expected {
    tensors: BTreeMap<String, (Tensor, bool)>,
    missing: usize,
}

impl Expected {
    /// All tensors of a model of this shape, whose big matrices are of type `weights`.
    pub(super) fn all(shape: &ModelShape, weights: &'static TensorType) -> Self {
        let filters = if weights.id == F32.id { &F32 } else { &F16 };
        let mut tensors = BTreeMap::new();
        for required in shape.tensors() {
            let kind = match required.role {
                Role::Matrix => weights,
                Role::Filters => filters,
                Role::Positions | Role::Vector => &F32,
            };
            let mut extents: Vec<i64> = required.dims.iter().rev().map(|extent| *extent as i64).collect();
            // A convolution's bias is a column.
            if required.role == Role::Vector && required.name.contains(".conv") {
                extents.insert(0, 1);
            }
            extents.resize(3, 1);
            let tensor = Tensor { shape: [extents[0], extents[1], extents[2]], kind };
            tensors.insert(required.name, (tensor, false));
        }
        Self { missing: tensors.len(), tensors }
    }

    /// The tensor called `name`, which is no longer missing then.
    pub(super) fn take(&mut self, name: &str) -> Result<&Tensor, Problem> {
        let (tensor, met) = self.tensors.get_mut(name).ok_or(Problem::Unknown)?;
        if std::mem::replace(met, true) {
            return Err(Problem::Twice);
        }
        self.missing -= 1;
        Ok(tensor)
    }

    /// How many are missing.
    pub(super) fn len(&self) -> usize {
        self.missing
    }

    /// Whether none is missing.
    pub(super) fn is_empty(&self) -> bool {
        self.missing == 0
    }

    /// The name of one that is missing.
    pub(super) fn first(&self) -> Option<&str> {
        self.tensors.iter().find(|(_, (_, met))| !met).map(|(name, _)| name.as_str())
    }

    /// Bytes of all of them with their headers, for checks against the sizes of known files.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> u64 {
        let bytes = |(name, (tensor, _)): (&String, &(Tensor, bool))| {
            let dims = if name.contains("conv") && name.ends_with("weight") {
                3
            } else if tensor.shape[1] == 1 {
                1
            } else {
                2
            };
            12 + 4 * dims + name.len() as u64 + tensor.bytes().unwrap()
        };
        self.tensors.iter().map(bytes).sum()
    }
}
