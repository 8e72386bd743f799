//! The messages of ONNX (`onnx.proto`) that a model needs, field numbers as there.

use prost::Message;

/// Version of the format: that of ONNX 1.13, which has all that is used here.
const IR_VERSION: i64 = 8;
/// Version of the standard operators.
const OPSET: i64 = 17;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

impl Model {
    /// `domains` are those of operators that the standard doesn't have.
    pub(crate) fn new(graph: Graph, domains: impl IntoIterator<Item = String>) -> Self {
        let standard = OperatorSet { domain: String::new(), version: OPSET };
        let others = domains.into_iter().map(|domain| OperatorSet { domain, version: 1 });
        Self {
            ir_version: IR_VERSION,
            graph: Some(graph),
            opset_import: std::iter::once(standard).chain(others).collect(),
        }
    }

    /// The tensors that a model brings.
    pub(crate) fn into_initializers(self) -> Vec<Tensor> {
        self.graph.map(|graph| graph.initializer).unwrap_or_default()
    }
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Graph {
    #[prost(message, repeated, tag = "1")]
    pub(crate) node: Vec<Node>,
    #[prost(string, tag = "2")]
    pub(crate) name: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) initializer: Vec<Tensor>,
    #[prost(message, repeated, tag = "11")]
    pub(crate) input: Vec<ValueInfo>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) output: Vec<ValueInfo>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Node {
    #[prost(string, repeated, tag = "1")]
    pub(crate) input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) output: Vec<String>,
    #[prost(string, tag = "3")]
    pub(crate) name: String,
    #[prost(string, tag = "4")]
    pub(crate) op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub(crate) attribute: Vec<Attribute>,
    #[prost(string, tag = "7")]
    pub(crate) domain: String,
}

/// Floating-point number, whole number and list of whole numbers, as `type` numbers them.
const FLOAT: i32 = 1;
const INT: i32 = 2;
const INTS: i32 = 7;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(float, optional, tag = "2")]
    f: Option<f32>,
    #[prost(int64, optional, tag = "3")]
    i: Option<i64>,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

impl Attribute {
    pub(crate) fn float(name: &str, f: f32) -> Self {
        Self { name: name.to_owned(), f: Some(f), r#type: FLOAT, ..Self::default() }
    }

    pub(crate) fn int(name: &str, i: i64) -> Self {
        Self { name: name.to_owned(), i: Some(i), r#type: INT, ..Self::default() }
    }

    pub(crate) fn ints(name: &str, ints: &[i64]) -> Self {
        Self { name: name.to_owned(), ints: ints.to_vec(), r#type: INTS, ..Self::default() }
    }
}

/// Types of numbers, as `data_type` and `elem_type` number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Type {
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Int64 = 7,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Tensor {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", optional, tag = "9")]
    raw_data: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "13")]
    external_data: Vec<Entry>,
    #[prost(int32, optional, tag = "14")]
    data_location: Option<i32>,
}

impl Tensor {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The numbers of a tensor of floats that has them in it.
    pub(crate) fn floats(&self) -> Option<Vec<f32>> {
        let bytes = self.raw_data.as_ref().filter(|_| self.data_type == Type::Float as i32)?;
        Some(bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }

    /// Numbers that are in the model.
    pub(crate) fn inline(name: &str, kind: Type, dims: &[i64], raw_data: Vec<u8>) -> Self {
        let raw_data = Some(raw_data);
        Self { dims: dims.to_vec(), data_type: kind as i32, name: name.to_owned(), raw_data, ..Self::default() }
    }

    /// Numbers that are given to each session beside the model.
    pub(crate) fn external(name: &str, kind: Type, dims: &[i64]) -> Self {
        let entry = Entry { key: "location".to_owned(), value: "memory".to_owned() };
        Self {
            dims: dims.to_vec(),
            data_type: kind as i32,
            name: name.to_owned(),
            raw_data: None,
            external_data: vec![entry],
            data_location: Some(1),
        }
    }
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ValueInfo {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<ValueType>,
}

impl ValueInfo {
    pub(crate) fn new(name: &str, kind: Type, shape: &[super::Extent]) -> Self {
        let dim = |extent: &super::Extent| match extent {
            super::Extent::Fixed(value) => Dimension { dim_value: Some(*value as i64), dim_param: None },
            super::Extent::Free(name) => Dimension { dim_value: None, dim_param: Some((*name).to_owned()) },
        };
        let shape = Shape { dim: shape.iter().map(dim).collect() };
        let tensor_type = TensorType { elem_type: kind as i32, shape: Some(shape) };
        Self { name: name.to_owned(), r#type: Some(ValueType { tensor_type: Some(tensor_type) }) }
    }
}

#[derive(Clone, PartialEq, Message)]
struct ValueType {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(int64, optional, tag = "1")]
    dim_value: Option<i64>,
    #[prost(string, optional, tag = "2")]
    dim_param: Option<String>,
}
