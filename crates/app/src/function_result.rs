//! What the functions that are asked for every attempt return: a value, or a `Result`.

use http::HeaderMap;

use crate::error::BoxError;
use crate::headers::ToHeaders;
use crate::never::Never;

/// What a function that is asked for every attempt may return: the value itself, or a `Result` of it with any error. A
/// function may also never return, as one that ends with `panic!`.
///
/// | function | value |
/// |---|---|
/// | [`url_with`](crate::WebSocketApp::url_with) | `String` or `&str` |
/// | [`header_with`](crate::WebSocketApp::header_with) | what implements [`ToHeaders`] |
/// | [`subprotocols_with`](crate::WebSocketApp::subprotocols_with) | `Vec` or array of `String` or `&str` |
/// | [`authorize_with`](crate::WebSocketApp::authorize_with) | `Option<String>` |
/// | [`mask_key`](crate::WebSocketApp::mask_key) | `[u8; 4]` |
///
/// A closure with `?` in it names its return type, as callbacks do:
///
/// ```
/// use websocket_app::{BoxError, WebSocketApp};
///
/// let app = WebSocketApp::new("wss://feed.example/").header_with(|| -> Result<_, BoxError> {
///     let token = std::fs::read_to_string("/run/secrets/token")?;
///     Ok([("Authorization", format!("Bearer {}", token.trim()))])
/// });
/// # let _ = app;
/// ```
#[diagnostic::on_unimplemented(
    message = "this function must return the value that it is asked for, or a `Result` of it, not `{Self}`"
)]
pub trait FunctionResult<T> {
    /// Returns the value.
    ///
    /// # Errors
    /// The error of the function, or what is wrong with its value.
    fn into_result(self) -> Result<T, BoxError>;
}

impl<T> FunctionResult<T> for Never {
    fn into_result(self) -> Result<T, BoxError> {
        self
    }
}

impl FunctionResult<Self> for String {
    fn into_result(self) -> Result<Self, BoxError> {
        Ok(self)
    }
}

impl FunctionResult<String> for &str {
    fn into_result(self) -> Result<String, BoxError> {
        Ok(self.to_owned())
    }
}

impl<T: FunctionResult<String>, E: Into<BoxError>> FunctionResult<String> for Result<T, E> {
    fn into_result(self) -> Result<String, BoxError> {
        self.map_err(Into::into)?.into_result()
    }
}

impl<H: ToHeaders> FunctionResult<HeaderMap> for H {
    fn into_result(self) -> Result<HeaderMap, BoxError> {
        Ok(self.to_headers()?)
    }
}

impl<H: ToHeaders, E: Into<BoxError>> FunctionResult<HeaderMap> for Result<H, E> {
    fn into_result(self) -> Result<HeaderMap, BoxError> {
        Ok(self.map_err(Into::into)?.to_headers()?)
    }
}

impl<S: Into<String>> FunctionResult<Vec<String>> for Vec<S> {
    fn into_result(self) -> Result<Vec<String>, BoxError> {
        Ok(self.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>, const N: usize> FunctionResult<Vec<String>> for [S; N] {
    fn into_result(self) -> Result<Vec<String>, BoxError> {
        Ok(self.into_iter().map(Into::into).collect())
    }
}

impl<T: FunctionResult<Vec<String>>, E: Into<BoxError>> FunctionResult<Vec<String>> for Result<T, E> {
    fn into_result(self) -> Result<Vec<String>, BoxError> {
        self.map_err(Into::into)?.into_result()
    }
}

impl FunctionResult<Self> for Option<String> {
    fn into_result(self) -> Result<Self, BoxError> {
        Ok(self)
    }
}

impl<E: Into<BoxError>> FunctionResult<Option<String>> for Result<Option<String>, E> {
    fn into_result(self) -> Result<Option<String>, BoxError> {
        self.map_err(Into::into)
    }
}

impl FunctionResult<Self> for [u8; 4] {
    fn into_result(self) -> Result<Self, BoxError> {
        Ok(self)
    }
}

impl<E: Into<BoxError>> FunctionResult<[u8; 4]> for Result<[u8; 4], E> {
    fn into_result(self) -> Result<[u8; 4], BoxError> {
        self.map_err(Into::into)
    }
}
