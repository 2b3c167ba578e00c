//! Values that the portal translates, brought back to the words of the Graph API. What is not known stays as it is.

use crate::fields::fold;

/// OCSF `status_id` of a result word; `None` for a word that is not known.
///
/// An interrupted sign-in is no success: the user was asked for something more, and the next sign-in tells the rest.
pub(crate) fn outcome(word: &str) -> Option<u8> {
    match fold(word).as_str() {
        "success"
        | "succeeded"
        | "successful"
        | "成功"
        | "réussite"
        | "réussi"
        | "succès"
        | "opérationréussie"
        | "erfolg"
        | "erfolgreich"
        | "éxito"
        | "correcto"
        | "realizadocorrectamente"
        | "satisfactorio" => Some(1),
        "failure"
        | "failed"
        | "fail"
        | "timeout"
        | "失敗"
        | "エラー"
        | "échec"
        | "échoué"
        | "fehler"
        | "fehlgeschlagen"
        | "fehlerhaft"
        | "error"
        | "conerrores"
        | "erróneo"
        | "incorrecto"
        | "interrupted"
        | "中断"
        | "中断されました"
        | "割り込み"
        | "interrompu"
        | "interrompue"
        | "unterbrochen"
        | "interrumpido"
        | "interrumpida" => Some(2),
        _ => None,
    }
}

/// `singleFactorAuthentication` or `multiFactorAuthentication`.
pub(crate) fn requirement(text: String) -> String {
    let folded = fold(&text);
    let any = |parts: &[&str]| parts.iter().any(|part| folded.contains(part));
    if any(&["multifactor", "多要素", "multifacteur", "multifaktor", "mehrstufig", "mehrfaktor", "mfa"]) {
        "multiFactorAuthentication".to_owned()
    } else if any(&[
        "singlefactor",
        "単一要素",
        "単一認証",
        "1要素",
        "facteurunique",
        "monofacteur",
        "seulfacteur",
        "einstufig",
        "einzelfaktor",
        "einfaktor",
        "factorúnico",
        "únicofactor",
        "solofactor",
    ]) {
        "singleFactorAuthentication".to_owned()
    } else {
        text
    }
}

/// `success`, `failure` or `notApplied`; Defender's hunting table counts them 0, 1, 2.
pub(crate) fn conditional_access(text: String) -> String {
    match fold(&text).as_str() {
        "0" => "success".to_owned(),
        "1" => "failure".to_owned(),
        "2"
        | "notapplied"
        | "未適用"
        | "適用されていません"
        | "適用なし"
        | "nonappliqué"
        | "nonappliquée"
        | "nichtangewendet"
        | "nichtangewandt"
        | "noaplicado"
        | "noseaplicó"
        | "sinaplicar" => "notApplied".to_owned(),
        _ => match outcome(&text) {
            Some(1) => "success".to_owned(),
            Some(2) => "failure".to_owned(),
            _ => text,
        },
    }
}

/// `Browser`, `Mobile Apps and Desktop clients`, `Authenticated SMTP`; other protocols have the same name everywhere.
pub(crate) fn client_app(text: String) -> String {
    match fold(&text).as_str() {
        "browser" | "ブラウザー" | "ブラウザ" | "navigateur" | "navigateurweb" | "explorador" | "navegador" => {
            "Browser".to_owned()
        }
        "mobileappsanddesktopclients"
        | "モバイルアプリとデスクトップクライアント"
        | "モバイルアプリおよびデスクトップクライアント"
        | "applicationsmobilesetclientsdebureau"
        | "applicationsmobilesetclientdebureau"
        | "mobileappsunddesktopclients"
        | "mobileanwendungenunddesktopclients"
        | "aplicacionesmóvilesyclientesdeescritorio" => "Mobile Apps and Desktop clients".to_owned(),
        "authenticatedsmtp"
        | "smtp"
        | "認証済みsmtp"
        | "認証されたsmtp"
        | "smtpauthentifié"
        | "authentifiziertessmtp"
        | "smtpautenticado" => "Authenticated SMTP".to_owned(),
        _ => text,
    }
}

/// `deviceCode`, `ropc`, `oAuth2`, `saml20`, `wsFederation`; `None` for "none".
pub(crate) fn protocol(text: String) -> Option<String> {
    let name = match fold(&text).as_str() {
        "none" | "なし" | "aucun" | "aucune" | "keine" | "ninguno" | "ninguna" => return None,
        "devicecode"
        | "devicecodeflow"
        | "デバイスコード"
        | "デバイスコードフロー"
        | "codedappareil"
        | "codeappareil"
        | "gerätecode"
        | "códigodedispositivo"
        | "códigodeldispositivo" => "deviceCode",
        "ropc" | "resourceownerpasswordcredentials" | "resourceownerpasswordcredential" => "ropc",
        "oauth2" | "oauth20" => "oAuth2",
        "saml20" | "saml2" | "saml" => "saml20",
        "wsfederation" | "wsfed" => "wsFederation",
        _ => return Some(text),
    };
    Some(name.to_owned())
}

/// `deviceCodeFlow`, `authenticationTransfer`; `None` for "none".
pub(crate) fn transfer(text: String) -> Option<String> {
    let name = match fold(&text).as_str() {
        "none" | "なし" | "aucun" | "aucune" | "keine" | "ninguno" | "ninguna" => return None,
        "devicecodeflow"
        | "devicecode"
        | "デバイスコードフロー"
        | "デバイスコード"
        | "fluxdecodedappareil"
        | "fluxducodedappareil"
        | "fluxdecodeappareil"
        | "gerätecodefluss"
        | "gerätecodeflow"
        | "flujodecódigodedispositivo"
        | "flujodecódigodeldispositivo" => "deviceCodeFlow",
        "authenticationtransfer"
        | "認証転送"
        | "認証の転送"
        | "transfertdauthentification"
        | "authentifizierungsübertragung"
        | "authentifizierungstransfer"
        | "transferenciadeautenticación" => "authenticationTransfer",
        _ => return Some(text),
    };
    Some(name.to_owned())
}

/// `regular` or `guest`.
pub(crate) fn user_type(text: &str) -> String {
    let folded = fold(text);
    match folded.as_str() {
        "member" | "メンバー" | "membre" | "mitglied" | "miembro" => "regular".to_owned(),
        "guest" | "ゲスト" | "invité" | "invitée" | "gast" | "invitado" | "invitada" => "guest".to_owned(),
        _ => text.to_lowercase(),
    }
}
