//! Graphs of ONNX operators, made in memory.
//!
//! A [`GraphBuilder`] collects nodes; values are known by name. Weights are no part of the encoded graph: they go beside
//! it as tensors, so that all sessions of a model share them and no copy is made of them on the way.

pub(crate) mod proto;

use std::collections::BTreeSet;
use std::sync::Arc;

use ort::session::builder::SessionBuilder;
use ort::session::Session;
use ort::value::{DynValue, Tensor, TensorElementType};
use prost::Message;

use self::proto::{Attribute, Node, Type, ValueInfo};

/// The domain of the operators that ONNX Runtime has beside the standard's.
pub(crate) const CONTRIBUTED: &str = "com.microsoft";
/// ONNX Runtime may compute with constants of fewer numbers than this while it loads a graph, so they are in it.
const SMALL: usize = 64;

/// An extent of a tensor.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Extent {
    Fixed(usize),
    Free(&'static str),
}

/// A graph that sessions can be made of.
pub(crate) struct Graph {
    /// The model as ONNX encodes it.
    bytes: Vec<u8>,
    /// The weights by name.
    pub(crate) weights: Vec<(String, Arc<DynValue>)>,
}

impl Graph {
    /// A session that runs it.
    pub(crate) fn session(&self, mut builder: SessionBuilder) -> ort::Result<Session> {
        for (name, value) in &self.weights {
            builder = builder.with_external_initializer(name, value.clone())?;
        }
        builder.commit_from_memory(&self.bytes)
    }
}

/// Adds up a graph.
pub(crate) struct GraphBuilder {
    graph: proto::Graph,
    domains: BTreeSet<String>,
    weights: Vec<(String, Arc<DynValue>)>,
    values: usize,
}

impl GraphBuilder {
    pub(crate) fn new(name: &str) -> Self {
        let graph = proto::Graph { name: name.to_owned(), ..proto::Graph::default() };
        Self { graph, domains: BTreeSet::new(), weights: Vec::new(), values: 0 }
    }

    pub(crate) fn finish(self) -> Graph {
        Graph { bytes: proto::Model::new(self.graph, self.domains).encode_to_vec(), weights: self.weights }
    }

    pub(crate) fn input(&mut self, name: &str, kind: Type, shape: &[Extent]) -> String {
        self.graph.input.push(ValueInfo::new(name, kind, shape));
        name.to_owned()
    }

    /// Makes a value of the graph an output of it.
    pub(crate) fn output(&mut self, name: &str, shape: &[Extent]) {
        self.graph.output.push(ValueInfo::new(name, Type::Float, shape));
    }

    /// A node with one output.
    pub(crate) fn op(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        let output = self.fresh(op);
        self.node("", op, inputs, attributes, &[&output]);
        output
    }

    /// A node of ONNX Runtime's own with one output.
    pub(crate) fn contributed(&mut self, op: &str, inputs: &[&str], attributes: &[Attribute]) -> String {
        let output = self.fresh(op);
        self.node(CONTRIBUTED, op, inputs, attributes, &[&output]);
        output
    }

    /// A node with outputs of these names; inputs and outputs that are left out have empty ones.
    pub(crate) fn node(&mut self, domain: &str, op: &str, inputs: &[&str], attributes: &[Attribute], outputs: &[&str]) {
        if !domain.is_empty() {
            self.domains.insert(domain.to_owned());
        }
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.graph.node.push(Node {
            input: names(inputs),
            output: names(outputs),
            name: outputs.iter().find(|name| !name.is_empty()).map(|name| format!("node_{name}")).unwrap_or_default(),
            op_type: op.to_owned(),
            attribute: attributes.to_vec(),
            domain: domain.to_owned(),
        });
    }

    /// Gives the last node's output another name.
    pub(crate) fn rename(&mut self, name: &str) {
        if let Some(output) = self.graph.node.last_mut().and_then(|node| node.output.first_mut()) {
            *output = name.to_owned();
        }
    }

    /// A name that no value has.
    pub(crate) fn fresh(&mut self, stem: &str) -> String {
        self.values += 1;
        format!("{stem}_{}", self.values)
    }

    pub(crate) fn inline(&mut self, name: &str, kind: Type, dims: &[i64], bytes: Vec<u8>) -> String {
        self.graph.initializer.push(proto::Tensor::inline(name, kind, dims, bytes));
        name.to_owned()
    }

    /// Whole numbers: shapes and the like.
    pub(crate) fn integers(&mut self, numbers: &[i64]) -> String {
        let name = self.fresh("integers");
        let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.inline(&name, Type::Int64, &[numbers.len() as i64], bytes)
    }

    /// Weights as they are.
    pub(crate) fn floats(&mut self, name: &str, shape: &[usize], numbers: Vec<f32>) -> ort::Result<String> {
        let dims: Vec<i64> = shape.iter().map(|extent| *extent as i64).collect();
        if numbers.len() < SMALL {
            let bytes = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
            return Ok(self.inline(name, Type::Float, &dims, bytes));
        }
        self.external(name, Type::Float, &dims, Tensor::from_array((shape.to_vec(), numbers))?.into_dyn())
    }

    pub(crate) fn external(&mut self, name: &str, kind: Type, dims: &[i64], tensor: DynValue) -> ort::Result<String> {
        debug_assert!(tensor.dtype().tensor_type().is_some_and(|t| t != TensorElementType::Undefined));
        self.graph.initializer.push(proto::Tensor::external(name, kind, dims));
        self.weights.push((name.to_owned(), Arc::new(tensor)));
        Ok(name.to_owned())
    }

    pub(crate) fn reshape(&mut self, x: &str, shape: &[i64]) -> String {
        let shape = self.integers(shape);
        self.op("Reshape", &[x, &shape], &[])
    }

    pub(crate) fn transpose(&mut self, x: &str, order: &[i64]) -> String {
        self.op("Transpose", &[x], &[Attribute::ints("perm", order)])
    }

    /// Cuts a value into parts of these extents along an axis.
    pub(crate) fn split<const N: usize>(&mut self, x: &str, extents: [usize; N], axis: i64) -> [String; N] {
        let parts = extents.map(|_| self.fresh("part"));
        let extents = self.integers(&extents.map(|extent| extent as i64));
        let outputs: Vec<&str> = parts.iter().map(String::as_str).collect();
        self.node("", "Split", &[x, &extents], &[Attribute::int("axis", axis)], &outputs);
        parts
    }
}

/// A matrix of `rows` rows with rows and columns exchanged.
pub(crate) fn transposed<T: Copy + Default>(numbers: &[T], rows: usize) -> Vec<T> {
    let columns = numbers.len() / rows.max(1);
    let mut out = vec![T::default(); numbers.len()];
    for (n, row) in numbers.chunks_exact(columns.max(1)).enumerate() {
        row.iter().enumerate().for_each(|(k, number)| out[k * rows + n] = *number);
    }
    out
}
