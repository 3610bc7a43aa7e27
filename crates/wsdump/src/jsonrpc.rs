//! A call by JSON-RPC 2.0.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// There is one call per run, so its id is always this.
const ID: u64 = 1;

/// A method and its parameters, which are JSON.
#[derive(Debug)]
pub(crate) struct Call {
    method: String,
    params: Option<Value>,
}

#[derive(Deserialize)]
struct Answer<'a> {
    id: Option<Value>,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

impl Call {
    /// The call that `--jsonrpc` asks for. Parameters that are not JSON have been refused before.
    pub(crate) fn new(arguments: &[String]) -> Option<Self> {
        let (method, params) = arguments.split_first()?;
        let params = params.first().and_then(|params| serde_json::from_str(params).ok());
        Some(Self { method: method.clone(), params })
    }

    pub(crate) fn request(&self) -> String {
        let mut request = json!({"jsonrpc": "2.0", "id": ID, "method": self.method});
        if let Some(params) = &self.params {
            request["params"] = params.clone();
        }
        request.to_string()
    }

    /// Returns the result or the error, as they came, if `message` is the answer.
    pub(crate) fn answer(&self, message: &[u8]) -> Option<Result<String, String>> {
        let answer: Answer<'_> = serde_json::from_slice(message).ok()?;
        if answer.id != Some(ID.into()) {
            return None;
        }
        match (answer.result, answer.error) {
            (_, Some(error)) if error.get() != "null" => Some(Err(format!("the method failed: {error}"))),
            (Some(result), _) => Some(Ok(result.get().to_owned())),
            _ => Some(Ok("null".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_known_by_its_id() {
        let call = Call::new(&["add".into(), "[1,2]".into()]).unwrap();
        assert_eq!(call.request(), r#"{"id":1,"jsonrpc":"2.0","method":"add","params":[1,2]}"#);
        assert_eq!(call.answer(br#"{"jsonrpc":"2.0","method":"tick"}"#), None);
        assert_eq!(call.answer(br#"{"id":2,"result":3}"#), None);
        assert_eq!(call.answer(b"no JSON"), None);
        assert_eq!(call.answer(br#"{"id":1,"result":3.0}"#), Some(Ok("3.0".into())));
        assert_eq!(call.answer(br#"{"id":1,"result":null}"#), Some(Ok("null".into())));
        assert!(call.answer(br#"{"id":1,"error":{"code":-1}}"#).unwrap().unwrap_err().contains("-1"));
    }
}
