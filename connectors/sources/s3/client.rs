//! The clients of S3 and SQS, and what their errors mean in words.

use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_s3::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::sync::OnceCell;
use tripline_config::{Place, Secrets};

use super::config::Settings;

/// The clients, made when they are asked for first.
#[derive(Clone)]
pub(super) struct Clients {
    region: Option<String>,
    endpoint: Option<String>,
    keys: Option<Credentials>,
    role: Option<String>,
    external_id: Option<String>,
    made: OnceCell<(aws_sdk_s3::Client, aws_sdk_sqs::Client)>,
}

impl Clients {
    pub fn new(settings: &Settings, secrets: &Secrets) -> Self {
        let of = |place: &Option<Place>| Some(secrets.of(place.as_ref()?)?.reveal().to_string());
        let keys = of(&settings.access_key).zip(of(&settings.secret_key));
        let keys = keys.map(|(id, key)| Credentials::new(id, key, of(&settings.session_token), None, "tripline.toml"));
        let named = || settings.queue.as_deref().and_then(region_of).map(str::to_string);
        Clients {
            region: settings.region.clone().or_else(named),
            endpoint: settings.endpoint.clone(),
            keys,
            role: settings.role.clone(),
            external_id: of(&settings.external_id),
            made: OnceCell::new(),
        }
    }

    pub async fn s3(&self) -> &aws_sdk_s3::Client {
        &self.get().await.0
    }

    pub async fn sqs(&self) -> &aws_sdk_sqs::Client {
        &self.get().await.1
    }

    async fn get(&self) -> &(aws_sdk_s3::Client, aws_sdk_sqs::Client) {
        self.made.get_or_init(|| self.make()).await
    }

    async fn make(&self) -> (aws_sdk_s3::Client, aws_sdk_sqs::Client) {
        let config = self.config().await;
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(self.endpoint.is_some()).build();
        (aws_sdk_s3::Client::from_conf(s3), aws_sdk_sqs::Client::new(&config))
    }

    async fn config(&self) -> SdkConfig {
        let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http);
        if let Some(region) = &self.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &self.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(keys) = &self.keys {
            loader = loader.credentials_provider(keys.clone());
        }
        let mut config = loader.load().await;
        if config.region().is_none() && self.endpoint.is_some() {
            // A store of one's own knows no regions, and requests are signed for one all the same.
            config = config.into_builder().region(Region::new("us-east-1")).build();
        }
        let Some(role) = &self.role else { return config };
        let mut taking = AssumeRoleProvider::builder(role).session_name("tripline").configure(&config);
        if let Some(id) = &self.external_id {
            taking = taking.external_id(id);
        }
        let taken = SharedCredentialsProvider::new(taking.build().await);
        config.into_builder().credentials_provider(taken).build()
    }

    /// The region, where one is known.
    pub async fn region(&self) -> Option<String> {
        self.config().await.region().map(ToString::to_string)
    }

    /// Whether there is anything to sign requests with.
    pub async fn signs(&self) -> Result<(), String> {
        let config = self.config().await;
        if config.region().is_none() {
            return Err("no region is known: add `region = \"eu-central-1\"`, or set AWS_REGION".into());
        }
        let Some(provider) = config.credentials_provider() else { return Err(NO_KEYS.into()) };
        match provider.provide_credentials().await {
            Ok(_) => Ok(()),
            Err(_) if self.role.is_some() => {
                Err("the role cannot be taken on: check `role`, `external_id`, and the trust policy of the role".into())
            }
            Err(_) => Err(NO_KEYS.into()),
        }
    }
}

const NO_KEYS: &str = "there is nothing to sign requests with: add `access_key` and `secret_key`, or give the process a role or a profile";

/// The region in the address of a queue.
fn region_of(url: &str) -> Option<&str> {
    let host = url.split_once("://")?.1.split('/').next()?;
    let mut parts = host.split('.');
    match (parts.next()?, parts.next()?) {
        ("sqs" | "sqs-fips", region) if host.contains(".amazonaws.com") => Some(region),
        (region, "queue") if host.contains(".amazonaws.com") => Some(region),
        _ => None,
    }
}

/// An error in words, and whether it is about this one thing and not about everything.
pub(super) fn told<E: ProvideErrorMetadata>(error: &SdkError<E>) -> (String, bool) {
    let plain = |text: &str| text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect::<String>();
    match error {
        SdkError::ConstructionFailure(_) => (NO_KEYS.into(), false),
        SdkError::TimeoutError(_) => ("there is no answer in time".into(), false),
        SdkError::DispatchFailure(failure) => {
            let signed = failure.as_other().is_none() || failure.is_io() || failure.is_timeout();
            (if signed { "there is no connection" } else { NO_KEYS }.into(), false)
        }
        _ => {
            let code = error.code().unwrap_or("an error without a name");
            let (advice, one) = match code {
                "NoSuchKey" => ("the object is gone", true),
                "InvalidObjectState" => ("the object is archived and has to be restored first", true),
                "NoSuchBucket" => ("there is no such bucket", true),
                "AccessDenied" | "AccessDeniedException" => ("the policy does not allow it", true),
                "QueueDoesNotExist" | "AWS.SimpleQueueService.NonExistentQueue" => {
                    ("check `queue`: there is none", false)
                }
                "InvalidClientTokenId" | "InvalidAccessKeyId" | "UnrecognizedClientException" => {
                    ("the access key is not known", false)
                }
                "SignatureDoesNotMatch" => ("the secret key is wrong", false),
                "ExpiredToken" | "ExpiredTokenException" => ("the session has expired", false),
                "RequestTimeTooSkewed" | "RequestExpired" => ("the clock of this machine is wrong", false),
                "SlowDown" | "Throttling" | "ThrottlingException" | "RequestThrottled" => ("too many requests", false),
                _ => ("", false),
            };
            let said = error.message().map(plain).unwrap_or_default();
            let mut words = plain(code);
            for more in [advice, &said] {
                if !more.is_empty() {
                    words.push_str(": ");
                    words.push_str(more);
                }
            }
            (words, one)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::region_of;

    #[test]
    fn the_address_of_a_queue_names_its_region() {
        assert_eq!(region_of("https://sqs.eu-west-1.amazonaws.com/111122223333/trail"), Some("eu-west-1"));
        assert_eq!(region_of("https://eu-west-1.queue.amazonaws.com/111122223333/trail"), Some("eu-west-1"));
        assert_eq!(region_of("https://sqs.cn-north-1.amazonaws.com.cn/1/trail"), Some("cn-north-1"));
        assert_eq!(region_of("http://127.0.0.1:5000/1/trail"), None);
    }
}
