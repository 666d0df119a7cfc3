//! verifyWebhook, against what the providers publish.

mod common;

use common::*;
use rules::call::Request;

fn verified(request: Request, secret: &str, scheme: &str) -> bool {
    let source = format!(
        "export const reducer = (state, request) => {{
            const ours = verifyWebhook(request, {secret:?}, {scheme:?});
            if (verifyWebhook({{...request}}, {secret:?}, {scheme:?}) !== ours) throw new Error('a copy differs');
            return ours }}"
    );
    let ran = fold_once(&source, request);
    &*ran.result.unwrap_or_else(|failure| panic!("{failure:?}")) == "true"
}

fn signed(headers: &[(&str, &str)], body: &str, at_seconds: u64) -> Request {
    Request { created_at_ms: at_seconds * 1000, ..request(1, headers, body.as_bytes()) }
}

/// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
#[test]
fn github_as_its_documentation_shows() {
    let headers = [("x-hub-signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")];
    let secret = "It's a Secret to Everybody";
    assert!(verified(signed(&headers, "Hello, World!", 0), secret, "github"));
    assert!(!verified(signed(&headers, "Hello, World?", 0), secret, "github"));
    assert!(!verified(signed(&headers, "Hello, World!", 0), "another", "github"));
    assert!(!verified(signed(&[], "Hello, World!", 0), secret, "github"));
}

/// The vector of the Standard Webhooks libraries' own tests.
#[test]
fn standard_webhooks_as_its_libraries_test() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let headers = [
        ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("webhook-timestamp", "1614265330"),
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v2,x v1,AAAA"),
    ];
    let body = r#"{"test": 2432232314}"#;
    assert!(verified(signed(&headers, body, 1_614_265_330), secret, "standard"));
    assert!(verified(signed(&headers, body, 1_614_265_330 + 300), secret, "standard"));
    assert!(!verified(signed(&headers, body, 1_614_265_330 + 301), secret, "standard"));
    assert!(!verified(signed(&headers, body, 1_614_265_330 - 301), secret, "standard"));
    assert!(!verified(signed(&headers, "{}", 1_614_265_330), secret, "standard"));
}

/// https://docs.slack.dev/authentication/verifying-requests-from-slack
#[test]
fn slack_as_its_documentation_shows() {
    let body = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let headers = [
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    assert!(verified(signed(&headers, body, 1_531_420_618), secret, "slack"));
    assert!(!verified(signed(&headers, body, 1_531_420_618 + 301), secret, "slack"));
}

/// The signature is what Stripe's own library for Python (16.1.0) makes and takes.
#[test]
fn stripe_takes_any_of_its_v1_signatures_in_time() {
    let body = r#"{"id":"evt_1"}"#;
    let header = "t=1492774577,v1=00,v1=c0ffcc2b0139601649fbed64d79e27610c84a4b10494e342f890a8c3c7159570,v0=11";
    let headers = [("stripe-signature", header)];
    assert!(verified(signed(&headers, body, 1_492_774_577), "whsec_x", "stripe"));
    assert!(verified(signed(&headers, body, 1_492_774_577 + 300), "whsec_x", "stripe"));
    assert!(!verified(signed(&headers, body, 1_492_774_577 + 301), "whsec_x", "stripe"));
    assert!(!verified(signed(&headers, "{}", 1_492_774_577), "whsec_x", "stripe"));
    // A code that is not of the first version counts for nothing.
    let headers = [("stripe-signature", &*header.replace("v1=c0", "v0=c0"))];
    assert!(!verified(signed(&headers, body, 1_492_774_577), "whsec_x", "stripe"));
}

/// Computed by Python's hmac, as https://shopify.dev/docs/apps/build/webhooks/subscribe/https describes it.
#[test]
fn shopify_signs_the_body_in_base64() {
    let body = r##"{"id":820982911946154508,"email":"jon@example.com","name":"#9999"}"##;
    let headers = [("x-shopify-hmac-sha256", "GHRA62rRonufCGcinoJEGFXXDPAEMt9WRVI1Q51xtjw=")];
    assert!(verified(signed(&headers, body, 0), "hush", "shopify"));
    assert!(!verified(signed(&headers, "[]", 0), "hush", "shopify"));
    assert!(!verified(signed(&headers, body, 0), "Hush", "shopify"));
}

#[test]
fn a_secret_that_was_never_set_verifies_nothing() {
    // Anybody can sign with no key, and with the word that an absent one would become.
    for (secret, key) in [("undefined", "undefined"), ("secrets.missing", "undefined"), ("null", "null"), ("''", "")] {
        let source = format!(
            "export const reducer = (state, request) => {{
                const forged = `sha256=${{toHex(hmac('sha256', '{key}', request.rawBody))}}`;
                const headers = {{ 'x-hub-signature-256': forged }};
                return verifyWebhook({{ ...request, headers }}, {secret}, 'github') }}"
        );
        assert_eq!(fold_once(&source, json_request(1, "{}")).result.as_deref(), Ok("false"), "{secret}");
    }
    let source = "export const reducer = (state, request) => {
        const forged = `v1,${btoa(String.fromCharCode(...hmac('sha256', '', `m.${Date.now() / 1000}.{}`)))}`;
        const headers = { 'webhook-id': 'm', 'webhook-timestamp': `${Date.now() / 1000}`, 'webhook-signature': forged };
        return verifyWebhook({ ...request, headers }, 'whsec_', 'standard') }";
    assert_eq!(fold_once(source, json_request(1, "{}")).result.as_deref(), Ok("false"));
}

#[test]
fn raw_bytes_are_verified_and_not_their_text() {
    // Computed by Python's hmac over the four bytes.
    let headers = [("x-hub-signature-256", "sha256=1bad9d2cc3e1eda0c349a56a7fb9b7637e2f592098d4064f3753a49616ef2d3d")];
    let source = "export const reducer = (state, request) => verifyWebhook(request, 'key', 'github')";
    let ran = fold_once(source, request(1, &headers, b"\xff\x00\x80a"));
    assert_eq!(ran.result.as_deref(), Ok("true"));
}

#[test]
fn nothing_that_is_given_makes_it_throw() {
    for arguments in [
        "",
        "null, null, null",
        "request, undefined, 'github'",
        "{}, 'a', 'standard'",
        "request, 'a', 'nonsense'",
        "{get headers() { throw 1 }}, 'a', 'github'",
        "request, Symbol(), 'github'",
        "{headers: {}, rawBody: 5}, '', 'slack'",
    ] {
        assert_eq!(value_of(&format!("verifyWebhook({arguments})")), "false", "{arguments}");
    }
}
