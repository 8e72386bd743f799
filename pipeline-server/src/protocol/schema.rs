//! The protocol as documents: JSON Schema of all messages and AsyncAPI, made from the types.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{json, Value};

use super::control::Control;
use super::results::Message;
use super::VERSION;
use crate::sources::websocket::Params;

/// JSON Schema (2020-12) with both directions: a message is one of `#/$defs/ServerMessage` or `#/$defs/ClientMessage`.
pub(crate) fn json_schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let (server, client) = messages(&mut generator);
    let mut defs = generator.take_definitions(true);
    defs.insert("ServerMessage".into(), server);
    defs.insert("ClientMessage".into(), client);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": format!("urn:pipeline-server:protocol:v{VERSION}"),
        "title": format!("pipeline-server WebSocket protocol, version {VERSION}"),
        "anyOf": [{ "$ref": "#/$defs/ServerMessage" }, { "$ref": "#/$defs/ClientMessage" }],
        "$defs": defs,
    })
}

/// AsyncAPI 3.0 description of the WebSocket.
pub(crate) fn async_api() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let (server, client) = messages(&mut generator);
    let query: Value = Params::json_schema(&mut generator).into();
    let mut schemas = generator.take_definitions(true);
    schemas.insert("ServerMessage".into(), server);
    schemas.insert("ClientMessage".into(), client);
    schemas.insert("Query".into(), query);
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "pipeline-server",
            "version": VERSION.to_string(),
            "description": "Live transcription over a WebSocket: audio up, text down while it is spoken.",
        },
        "defaultContentType": "application/json",
        "servers": { "local": { "host": "127.0.0.1:8765", "protocol": "ws" } },
        "channels": {
            "transcribe": {
                "address": "/ws/transcribe",
                "bindings": { "ws": { "method": "GET", "query": { "$ref": "#/components/schemas/Query" } } },
                "messages": {
                    "audio": { "$ref": "#/components/messages/audio" },
                    "control": { "$ref": "#/components/messages/control" },
                    "result": { "$ref": "#/components/messages/result" },
                },
            },
        },
        "operations": {
            "sendAudio": operation("receive", "audio", "The client sends audio."),
            "sendControl": operation("receive", "control", "The client steers the session."),
            "receiveResults": operation("send", "result", "The server tells what was said."),
        },
        "components": {
            "messages": {
                "audio": {
                    "summary": "A binary message: whole frames of the encoding that the address names.",
                    "contentType": "application/octet-stream",
                    "payload": { "type": "string", "format": "binary" },
                },
                "control": { "payload": { "$ref": "#/components/schemas/ClientMessage" } },
                "result": { "payload": { "$ref": "#/components/schemas/ServerMessage" } },
            },
            "schemas": schemas,
        },
    })
}

fn messages(generator: &mut SchemaGenerator) -> (Value, Value) {
    (Message::json_schema(generator).into(), Control::json_schema(generator).into())
}

fn operation(action: &str, message: &str, summary: &str) -> Value {
    json!({
        "action": action,
        "summary": summary,
        "channel": { "$ref": "#/channels/transcribe" },
        "messages": [{ "$ref": format!("#/channels/transcribe/messages/{message}") }],
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::path::Path;

    use super::*;

    /// Compares a document with the committed file. `UPDATE_PROTOCOL=1` writes the file instead.
    pub(crate) fn compare(name: &str, document: &Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("protocol").join(name);
        let text = serde_json::to_string_pretty(document).unwrap() + "\n";
        if std::env::var_os("UPDATE_PROTOCOL").is_some() {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text == committed,
            "{} does not fit the types. Look at what changed: within a version fields are only added. Then run \
             UPDATE_PROTOCOL=1 cargo test --release -p pipeline-server protocol",
            path.display()
        );
    }

    #[test]
    fn the_committed_json_schema_is_that_of_the_types() {
        compare("v1.schema.json", &json_schema());
    }

    #[test]
    fn the_committed_asyncapi_document_is_that_of_the_types() {
        compare("v1.asyncapi.json", &async_api());
    }

    pub(crate) fn references_lead_somewhere(at: &Value, whole: &Value) {
        match at {
            Value::Object(members) => {
                if let Some(reference) = members.get("$ref").and_then(Value::as_str) {
                    let target = whole.pointer(reference.strip_prefix('#').unwrap());
                    assert!(target.is_some(), "{reference}");
                }
                members.values().for_each(|value| references_lead_somewhere(value, whole));
            }
            Value::Array(values) => values.iter().for_each(|value| references_lead_somewhere(value, whole)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_in_the_documents_leads_somewhere() {
        for document in [json_schema(), async_api()] {
            references_lead_somewhere(&document, &document);
        }
    }
}
