//! Which fields an exception may rest on. What an attacker writes as they like (the name of a machine, of a program, of a
//! browser) says nothing of who it was: an exception over such fields alone is a way past the rule.

/// OCSF paths that an attacker chooses, and what is below them. `*.` stands for any path before.
const CHOSEN: [&str; 39] = [
    "*.cmd_line",
    "*.comment",
    "*.desc",
    "*.display_name",
    "*.full_name",
    "*.hostname",
    "*.ja3_hash",
    "*.ja4_fingerprint_list",
    "*.mac",
    "*.os",
    "*.user_agent",
    "actor.app_name",
    "actor.process",
    "answers",
    "app_name",
    "client_hassh",
    "device.name",
    "dst_endpoint.name",
    "email.from",
    "email.message_uid",
    "email.raw_header",
    "email.reply_to",
    "email.subject",
    "file",
    "http_request.args",
    "http_request.body",
    "http_request.http_headers",
    "http_request.referrer",
    "http_request.url",
    "job",
    "message",
    "module",
    "process",
    "query",
    "raw_data",
    "script",
    "src_endpoint.domain",
    "src_endpoint.name",
    "url",
];

/// Who, from where, and upon what: an exception rests on one of these. What is below them counts too. A country, a region
/// or a kind of machine is not among them: too many have it.
const FIRM: [&str; 27] = [
    "actor.session.issuer",
    "actor.user.account.uid",
    "actor.user.credential_uid",
    "actor.user.email_addr",
    "actor.user.name",
    "actor.user.uid",
    "actor.user.uid_alt",
    "cloud.account",
    "database.uid",
    "device.instance_uid",
    "device.ip",
    "device.uid",
    "dst_endpoint.instance_uid",
    "dst_endpoint.ip",
    "dst_endpoint.uid",
    "entity.uid",
    "group.uid",
    "managed_entity.uid",
    "policy.uid",
    "resource.uid",
    "src_endpoint.instance_uid",
    "src_endpoint.ip",
    "src_endpoint.uid",
    "user.email_addr",
    "user.name",
    "user.uid",
    "user.uid_alt",
];

/// Fields that say nothing of an event that others of the rule would not say, or that no other event has.
const NEVER: [&str; 14] = [
    "*.activity_name",
    "*.caption",
    "*.type",
    "*.version",
    "actor.session.uid",
    "api.request.uid",
    "category_name",
    "class_name",
    "metadata",
    "session.uid",
    "severity",
    "status",
    "status_detail",
    "unmapped",
];

/// Fields of products, behind `raw.`, that say who, from where or upon what: those of Windows, Zeek and web servers, AWS,
/// Okta, Entra ID, Google Cloud and GitHub, by the names in their own documentation.
const FIRM_RAW: [&str; 44] = [
    "AccountName",
    "CallerIPAddress",
    "ClientAddress",
    "ClientIP",
    "DestAddress",
    "DestinationIp",
    "IpAddress",
    "SourceAddress",
    "SourceIp",
    "SourceUser",
    "SubjectUserName",
    "SubjectUserSid",
    "TargetSid",
    "TargetUser",
    "TargetUserName",
    "TargetUserSid",
    "User",
    "UserId",
    "UserName",
    "actor",
    "actor.alternateId",
    "actor.id",
    "actor_id",
    "actor_ip",
    "auid",
    "callerIpAddress",
    "client.ipAddress",
    "dst_ip",
    "id.orig_h",
    "id.resp_h",
    "ipAddress",
    "protoPayload.authenticationInfo.principalEmail",
    "protoPayload.requestMetadata.callerIp",
    "recipientAccountId",
    "sourceIPAddress",
    "src_ip",
    "user",
    "userIdentity.accountId",
    "userIdentity.arn",
    "userIdentity.principalId",
    "userIdentity.sessionContext.sessionIssuer.arn",
    "userIdentity.userName",
    "userPrincipalName",
    "user_id",
];

/// Fields of products that an attacker writes as they like, and what is below them.
const CHOSEN_RAW: [&str; 50] = [
    "Application",
    "CallerProcessName",
    "CommandLine",
    "Company",
    "Contents",
    "CurrentDirectory",
    "Description",
    "DestinationHostname",
    "Details",
    "Device",
    "FileVersion",
    "HostApplication",
    "Hashes",
    "Image",
    "ImageLoaded",
    "ImagePath",
    "Imphash",
    "Message",
    "NewProcessName",
    "OriginalFileName",
    "ParentCommandLine",
    "ParentImage",
    "ParentProcessName",
    "Path",
    "Payload",
    "PipeName",
    "ProcessName",
    "Product",
    "QueryName",
    "ScriptBlockText",
    "ServiceFileName",
    "ServiceName",
    "SourceHostname",
    "SourceImage",
    "TargetFilename",
    "TargetImage",
    "TargetObject",
    "TaskContent",
    "TaskName",
    "Workstation",
    "WorkstationName",
    "client.userAgent",
    "query",
    "requestParameters",
    "responseElements",
    "userAgent",
    "userAgentString",
    "user_agent",
    "http_user_agent",
    "protoPayload.requestMetadata.callerSuppliedUserAgent",
];

/// Fields of products that no other event has, or that say when.
const NEVER_RAW: [&str; 21] = [
    "EventTime",
    "LogonGuid",
    "LogonId",
    "ParentProcessGuid",
    "ProcessGuid",
    "ProcessId",
    "SubjectLogonId",
    "TargetLogonId",
    "TimeCreated",
    "UtcTime",
    "_document_id",
    "debugContext",
    "eventID",
    "eventTime",
    "id",
    "insertId",
    "published",
    "requestID",
    "timestamp",
    "transaction",
    "uuid",
];

/// What a field is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// An exception may rest on it.
    Firm,
    /// It may narrow an exception that rests on another.
    Narrowing,
    /// An attacker chooses it; likewise.
    Chosen,
    /// It is not looked at.
    Never,
}

fn covers(pattern: &str, path: &str) -> bool {
    let below = |path: &str, of: &str| path == of || path.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'));
    match pattern.strip_prefix("*.") {
        Some(last) => path.split('.').any(|name| name == last),
        None => below(path, pattern),
    }
}

/// What a field of the normalised event is worth.
pub fn worth(path: &str) -> Worth {
    if let Some(name) = path.strip_prefix("raw.") {
        let below = |of: &str| name == of || name.strip_prefix(of).is_some_and(|rest| rest.starts_with('.'));
        return if FIRM_RAW.contains(&name) {
            Worth::Firm
        } else if NEVER_RAW.iter().any(|of| below(of)) {
            Worth::Never
        } else if CHOSEN_RAW.iter().any(|of| below(of)) {
            Worth::Chosen
        } else {
            Worth::Narrowing
        };
    }
    let any = |patterns: &[&str]| patterns.iter().any(|pattern| covers(pattern, path));
    if any(&NEVER) || path.ends_with("_dt") || path.ends_with("_name") && !path.contains('.') {
        Worth::Never
    } else if any(&CHOSEN) {
        Worth::Chosen
    } else if any(&FIRM) {
        Worth::Firm
    } else {
        Worth::Narrowing
    }
}

/// How good a field is to name something by; less is better.
pub fn rank(path: &str) -> u32 {
    let last = path.rsplit('.').next().unwrap_or(path);
    let name = match last {
        "uid" | "uid_alt" | "arn" => 0,
        "email_addr" | "name" => 1,
        "ip" => 2,
        _ => 4,
    };
    let depth = u32::try_from(path.split('.').count()).unwrap_or(u32::MAX);
    name * 10 + depth
}

/// What a field is about: its first name, with whom it is about taken together.
pub fn family(path: &str) -> &str {
    match path.split('.').next().unwrap_or(path) {
        "actor" | "user" => "who",
        "raw" => match path.to_ascii_lowercase() {
            name if ["ip", "address", "orig_h", "resp_h"].iter().any(|end| name.ends_with(end)) => "where",
            _ => "who",
        },
        first => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_attacker_chooses_is_not_rested_on() {
        for path in [
            "http_request.user_agent",
            "src_endpoint.hostname",
            "device.hostname",
            "device.name",
            "file.name",
            "process.cmd_line",
            "actor.process.file.path",
            "actor.user.full_name",
            "http_request.referrer",
            "email.subject",
            "url.hostname",
            "device.os.name",
        ] {
            assert_eq!(worth(path), Worth::Chosen, "{path}");
        }
        for path in ["actor.user.uid", "user.name", "src_endpoint.ip", "cloud.account.uid", "device.uid"] {
            assert_eq!(worth(path), Worth::Firm, "{path}");
        }
        assert_eq!(worth("api.operation"), Worth::Narrowing);
        // What a product calls them.
        for path in ["raw.SubjectUserName", "raw.userIdentity.arn", "raw.id.orig_h", "raw.sourceIPAddress"] {
            assert_eq!(worth(path), Worth::Firm, "{path}");
        }
        for path in ["raw.CommandLine", "raw.userAgent", "raw.requestParameters.name", "raw.WorkstationName"] {
            assert_eq!(worth(path), Worth::Chosen, "{path}");
        }
        assert_eq!((worth("raw.Computer"), worth("raw.id")), (Worth::Narrowing, Worth::Never));
        for path in ["cloud.region", "src_endpoint.location.country", "actor.invoked_by"] {
            assert_eq!(worth(path), Worth::Narrowing, "{path}");
        }
        for path in ["metadata.product.name", "activity_name", "severity", "time_dt", "user.type", "actor.session.uid"]
        {
            assert_eq!(worth(path), Worth::Never, "{path}");
        }
    }

    #[test]
    fn people_are_named_by_their_ids_first() {
        assert!(rank("user.uid") < rank("user.name") && rank("user.name") < rank("src_endpoint.ip"));
        assert_eq!((family("actor.user.uid"), family("user.uid")), ("who", "who"));
    }
}
