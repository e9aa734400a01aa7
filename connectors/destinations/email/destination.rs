//! Speaks SMTP: each recipient is answered for by itself, and what some of them have is not sent to them again.

use std::collections::VecDeque;
use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::Address;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::{Error, response::Severity};
use tripline_alert::{Message, Status};
use tripline_connect::{Content, Destination, Made, Outcome, Parcel, Sending, plainly};

use super::encode::{Envelope, Thread, subject};
use crate::facts::{FINDINGS, Wording, cut, plain};

/// How many deliveries are remembered of which some recipients have theirs.
const REMEMBERED: usize = 256;
/// The most that is told of what a server says (characters).
const SAID: usize = 200;

/// How the connection is kept secret.
pub(super) enum Security {
    /// It is not.
    None,
    /// From its beginning.
    Tls(TlsParameters),
    /// From when the server was asked to; nothing is sent before.
    StartTls(TlsParameters),
}

/// A server for mail.
pub(super) struct Smtp {
    pub server: (String, u16),
    pub security: Security,
    pub credentials: Option<Credentials>,
    pub hello: ClientId,
    pub from: Mailbox,
    pub to: Vec<Mailbox>,
    pub wording: Wording,
    pub timeout: Duration,
    /// Deliveries of which these recipients have theirs.
    pub done: Mutex<VecDeque<(String, Vec<Address>)>>,
}

/// What became of each recipient.
#[derive(Default)]
struct Answers {
    taken: Vec<Address>,
    later: Vec<String>,
    never: Vec<String>,
}

/// What an error means. `fatal` are answers that no repetition changes.
fn outcome(error: &Error, fatal: bool) -> Outcome {
    let said = error.source().map(|source| cut(&plain(&source.to_string()), SAID)).unwrap_or_default();
    let reason = match error.status() {
        Some(code) => format!("the server answered {code}: {said}"),
        None if error.is_client() => said,
        None if error.is_response() => "the server does not speak SMTP as it should, or closed the connection".into(),
        None => plainly(error).unwrap_or("the connection broke").to_string(),
    };
    if fatal && error.is_permanent() { Outcome::Never { reason } } else { Outcome::Later { reason, after: None } }
}

fn reason(outcome: Outcome) -> String {
    match outcome {
        Outcome::Taken => String::new(),
        Outcome::Later { reason, .. } | Outcome::Never { reason } => reason,
    }
}

impl Smtp {
    /// Connects and signs in. A refused password may be renewed: it is tried again.
    async fn connect(&self) -> Result<AsyncSmtpConnection, Outcome> {
        let implicit = if let Security::Tls(tls) = &self.security { Some(tls.clone()) } else { None };
        let (host, port) = &self.server;
        let server = (host.as_str(), *port);
        let connected = AsyncSmtpConnection::connect_tokio1(server, Some(self.timeout), &self.hello, implicit, None);
        let mut connection = connected.await.map_err(|error| outcome(&error, false))?;
        if let Security::StartTls(tls) = &self.security {
            if !connection.can_starttls() {
                let reason = "the server offers no STARTTLS: set `security` to `\"tls\"`, or check `port`";
                return Err(Outcome::Later { reason: reason.into(), after: None });
            }
            connection.starttls(tls.clone(), &self.hello).await.map_err(|error| outcome(&error, false))?;
        }
        if let Some(credentials) = &self.credentials {
            let signed = connection.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await;
            signed.map_err(|error| {
                let why = reason(outcome(&error, false));
                Outcome::Later { reason: format!("`user` and `password` are refused: {why}"), after: None }
            })?;
        }
        Ok(connection)
    }

    /// Names the sender and the recipients.
    async fn address(&self, connection: &mut AsyncSmtpConnection, to: Vec<Address>) -> Result<Answers, Outcome> {
        let from = Mail::new(Some(self.from.email.clone()), Vec::new());
        connection.command(from).await.map_err(|error| outcome(&error, true))?;
        let mut answers = Answers::default();
        for address in to {
            let said = |error: &Error| format!("{address}: {}", reason(outcome(error, true)));
            match connection.command(Rcpt::new(address.clone(), Vec::new())).await {
                Ok(_) => answers.taken.push(address),
                Err(error) => match error.status().map(|code| code.severity) {
                    Some(Severity::PermanentNegativeCompletion) => answers.never.push(said(&error)),
                    Some(_) => answers.later.push(said(&error)),
                    None => return Err(outcome(&error, false)),
                },
            }
        }
        Ok(answers)
    }

    /// One session: gives who has it, and who has not for what reason.
    async fn session(&self, mail: &[u8], to: Vec<Address>) -> Result<Answers, Outcome> {
        let mut connection = self.connect().await?;
        let answers = self.address(&mut connection, to).await?;
        if !answers.taken.is_empty() {
            connection.command(Data).await.map_err(|error| outcome(&error, true))?;
            connection.message(mail).await.map_err(|error| outcome(&error, true))?;
        }
        // Whatever the server says to that, it has the message.
        let _ = connection.quit().await;
        Ok(answers)
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, Outcome>>) -> Result<T, Outcome> {
        let late = || Outcome::Later { reason: "there is no answer in time".into(), after: None };
        tokio::time::timeout(self.timeout, work).await.unwrap_or_else(|_| Err(late()))
    }

    async fn deliver(&self, id: &str, mail: &[u8]) -> Outcome {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).iter().find(|(of, _)| of == id).cloned();
        let mut done = done.map(|(_, done)| done).unwrap_or_default();
        let to = self.to.iter().map(|one| one.email.clone()).filter(|one| !done.contains(one)).collect();
        let answers = match self.within(self.session(mail, to)).await {
            Ok(answers) => answers,
            Err(outcome) => return outcome,
        };
        done.extend(answers.taken);
        let mut all = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|(of, _)| of != id);
        if answers.later.is_empty() && answers.never.is_empty() {
            return Outcome::Taken;
        }
        let have = if done.is_empty() { String::new() } else { format!("; {} of the others have it", done.len()) };
        all.push_back((id.to_string(), done));
        if all.len() > REMEMBERED {
            all.pop_front();
        }
        let reason = cut(&[answers.later.clone(), answers.never].concat().join("; "), 1_000) + &have;
        if answers.later.is_empty() { Outcome::Never { reason } } else { Outcome::Later { reason, after: None } }
    }

    fn envelope(&self) -> Envelope<'_> {
        Envelope { from: &self.from, to: &self.to }
    }

    async fn alert(&self, parcel: &Parcel, message: &Message) -> Made {
        let alert = &message.alert;
        let known: Option<Thread> = parcel.handle.as_ref().and_then(|handle| serde_json::from_str(&handle.own).ok());
        let first = known.is_none();
        if first && alert.status == Status::Closed {
            return Made::taken(None);
        }
        let mut thread = known.unwrap_or_else(|| Thread {
            root: self.envelope().root(&alert.id),
            subject: subject(&self.wording, message),
            told: (0, 0),
        });
        if let Some(handle) = &parcel.handle {
            thread.told = (thread.told.0.max(handle.evidence), thread.told.1.max(handle.history));
        }
        if !first && thread.told == alert.numbers {
            return Made::taken(None);
        }
        let Some(mail) = self.envelope().alert(&self.wording, parcel, message, &thread, first) else {
            return Outcome::Never { reason: "no message can be made of it".into() }.into();
        };
        let outcome = self.deliver(&parcel.id, &mail).await;
        // Whoever could have it has it: a recipient that is refused for ever keeps no news from the others.
        let told = match &outcome {
            Outcome::Taken => true,
            Outcome::Never { .. } => self.has_some(&parcel.id),
            Outcome::Later { .. } => false,
        };
        if !told {
            return outcome.into();
        }
        thread.told = alert.numbers;
        Made { outcome, own: serde_json::to_string(&thread).ok() }
    }

    /// Whether some recipients have a delivery.
    fn has_some(&self, id: &str) -> bool {
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.iter().any(|(of, done)| of == id && !done.is_empty())
    }

    async fn look(&self) -> Result<Vec<String>, Outcome> {
        let mut connection = self.connect().await?;
        let mut out = vec![match (&self.security, &self.credentials) {
            (Security::None, _) => "connected, without TLS".to_string(),
            (_, None) => "connected over TLS".to_string(),
            (_, Some(_)) => "connected over TLS and signed in".to_string(),
        }];
        let to = self.to.iter().map(|one| one.email.clone()).collect();
        let answers = self.address(&mut connection, to).await?;
        let _ = connection.command(Rset).await;
        let _ = connection.quit().await;
        let refused = [answers.never, answers.later].concat();
        if !refused.is_empty() {
            return Err(Outcome::Never { reason: refused.join("; ") });
        }
        out.push(format!("it takes mail for {} recipients", answers.taken.len()));
        Ok(out)
    }
}

impl Destination for Smtp {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            match &parcel.content {
                Content::Alert(message) => self.alert(parcel, message).await,
                Content::Digest(digest) => match self.envelope().digest(parcel, digest) {
                    Some(mail) => self.deliver(&parcel.id, &mail).await.into(),
                    None => Outcome::Never { reason: "no message can be made of it".into() }.into(),
                },
                Content::Finding { .. } => Outcome::Never { reason: FINDINGS.into() }.into(),
            }
        })
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async move { self.within(self.look()).await.map_err(reason) })
    }
}
