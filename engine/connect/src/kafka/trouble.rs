//! What librdkafka says is wrong with a connection, in words that tell what to do. Its own texts name addresses, so nothing
//! of them is passed on.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Why a connection failed last, between librdkafka and whoever waits for it.
#[derive(Clone, Debug, Default)]
pub struct Behind(Arc<Mutex<Option<&'static str>>>);

impl Behind {
    /// Why.
    pub fn why(&self) -> Option<&'static str> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It failed, or works again.
    pub fn set(&self, why: Option<&'static str>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Takes in what librdkafka tells; what is not known to be a reason changes nothing.
    pub fn told(&self, error: &KafkaError, text: &str) {
        let why = error.rdkafka_error_code().and_then(|code| connection(code, text));
        if why.is_some() {
            self.set(why);
        }
    }
}

/// Why a connection failed; none where that is not known. librdkafka's text is looked at, and not shown.
pub fn connection(code: Code, text: &str) -> Option<&'static str> {
    let text = text.to_ascii_lowercase();
    let has = |word: &str| text.contains(word);
    match code {
        Code::Authentication | Code::SaslAuthenticationFailed => {
            Some("the broker does not know the account: check `user`, `password` and `mechanism`")
        }
        Code::UnsupportedSASLMechanism => Some("the broker does not take this `mechanism`"),
        Code::Resolve => Some("the name of a broker is not known to DNS"),
        Code::SSL if has("certificate verify") || has("verification failed") => {
            Some("its TLS certificate is not trusted: check the address, or name its authority in `ca`")
        }
        Code::SSL => Some("TLS cannot be agreed on: is this an address for TLS, and does it want a `certificate`?"),
        _ if has("refused") => Some("the connection is refused"),
        Code::BrokerTransportFailure if has("disconnected") => {
            Some("the broker closed the connection: does it want TLS or an account?")
        }
        _ => None,
    }
}

/// Why a client cannot be made, without any value.
pub fn creation(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientCreation(text) if text.contains("ssl.ca") => "the certificates of `ca` cannot be read".into(),
        KafkaError::ClientCreation(text) | KafkaError::ClientConfig(_, _, text, _)
            if text.contains("ssl.certificate") || text.contains("ssl.key") || text.contains("private key") =>
        {
            "the client's certificate and key cannot be read".into()
        }
        KafkaError::ClientConfig(_, _, key, _) => format!("librdkafka does not take the value of its setting `{key}`"),
        _ => "a client of Kafka cannot be started".into(),
    }
}
