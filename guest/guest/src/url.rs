//! URLs by the WHATWG standard: what the prelude's URL and URLSearchParams stand on.

use rquickjs::{Ctx, Object, Result, Value, prelude::Func};
use url::{Url, quirks};

pub fn install(natives: &Object<'_>) -> Result<()> {
    natives.set("parseUrl", Func::from(parse_url))?;
    natives.set("changeUrl", Func::from(change_url))?;
    natives.set("parseForm", Func::from(parse_form))?;
    natives.set("writeForm", Func::from(write_form))?;
    natives.set("percentDecode", Func::from(percent_decode))
}

/// The parts in the order that the prelude's URL names them; null when it is no URL.
fn parse_url<'js>(ctx: Ctx<'js>, text: String, base: Option<String>) -> Result<Value<'js>> {
    let base = match base.map(|base| Url::parse(&base)) {
        None => None,
        Some(Ok(base)) => Some(base),
        Some(Err(_)) => return Ok(Value::new_null(ctx)),
    };
    match Url::options().base_url(base.as_ref()).parse(&text) {
        Ok(url) => parts(&ctx, &url),
        Err(_) => Ok(Value::new_null(ctx)),
    }
}

/// The parts after one of them was set; a value that does not fit changes nothing, as the standard has it. Null only
/// for a new `href` that is no URL.
fn change_url<'js>(ctx: Ctx<'js>, href: String, part: String, value: String) -> Result<Value<'js>> {
    let Ok(mut url) = Url::parse(&href) else {
        return Ok(Value::new_null(ctx));
    };
    let url_ref = &mut url;
    let _unfit = match part.as_str() {
        "protocol" => quirks::set_protocol(url_ref, &value),
        "username" => quirks::set_username(url_ref, &value),
        "password" => quirks::set_password(url_ref, &value),
        "host" => quirks::set_host(url_ref, &value),
        "hostname" => quirks::set_hostname(url_ref, &value),
        "port" => quirks::set_port(url_ref, &value),
        "pathname" => Ok(quirks::set_pathname(url_ref, &value)),
        "search" => Ok(quirks::set_search(url_ref, &value)),
        _ => Ok(quirks::set_hash(url_ref, &value)),
    };
    parts(&ctx, &url)
}

fn parts<'js>(ctx: &Ctx<'js>, url: &Url) -> Result<Value<'js>> {
    let origin = quirks::origin(url);
    let parts = [
        quirks::href(url),
        origin.as_str(),
        quirks::protocol(url),
        quirks::username(url),
        quirks::password(url),
        quirks::host(url),
        quirks::hostname(url),
        quirks::port(url),
        quirks::pathname(url),
        quirks::search(url),
        quirks::hash(url),
    ];
    let array = rquickjs::Array::new(ctx.clone())?;
    for (index, part) in parts.into_iter().enumerate() {
        array.set(index, part)?;
    }
    Ok(array.into_value())
}

/// Name, value, name, value, …
fn parse_form(text: String) -> Vec<String> {
    form_urlencoded::parse(text.as_bytes()).flat_map(|(name, value)| [name.into_owned(), value.into_owned()]).collect()
}

fn write_form(flat: Vec<String>) -> String {
    let (pairs, _) = flat.as_chunks::<2>();
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs.iter().map(|[name, value]| (name, value)))
        .finish()
}

fn percent_decode(text: String) -> String {
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
