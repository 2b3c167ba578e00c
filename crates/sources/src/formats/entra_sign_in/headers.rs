//! What the fields of a sign-in are called: by Graph, by Azure Monitor and Log Analytics, by Defender's hunting tables,
//! and by the portal's CSV in English, Japanese, French, German and Spanish.
//!
//! The portal is translated by hand and differs between its pages and years, so every field lists the translations
//! that are plausible; a column that no spelling names is still found by its values ([`super::columns`]).

use crate::fields::vocabulary;

vocabulary! {
    /// Fields of a sign-in.
    SignIn {
        Id: [
            "id", "Request ID", "要求 ID", "リクエスト ID", "ID de demande", "ID de la demande", "Identifiant de la demande",
            "ID de requête", "ID de la requête", "Anforderungs-ID", "Anforderung-ID", "Id. de solicitud",
            "Id. de la solicitud", "Identificador de solicitud",
        ],
        Created: [
            "createdDateTime", "Date (UTC)", "Timestamp", "Date", "Time (UTC)", "日付 (UTC)", "日時 (UTC)", "日付", "日時",
            "Datum (UTC)", "Datum", "Datum/Uhrzeit (UTC)", "Fecha (UTC)", "Fecha", "Date et heure (UTC)",
        ],
        Generated: ["TimeGenerated", "time"],
        LocalTime: ["createdDateTime (Local Time)", "TimeGenerated (Local Time)"],
        UserPrincipalName: [
            "userPrincipalName", "Username", "User name", "AccountUpn", "ユーザー名", "ユーザー プリンシパル名",
            "Nom d'utilisateur", "Nom d'utilisateur principal", "Nom d'utilisateur principal (UPN)",
            "Nom principal de l'utilisateur", "Benutzername", "Benutzerprinzipalname", "Nombre de usuario",
            "Nombre principal de usuario", "Nombre principal del usuario",
        ],
        UserDisplayName: [
            "userDisplayName", "User", "AccountDisplayName", "ユーザー", "Utilisateur", "Benutzer", "Usuario",
        ],
        UserId: [
            "userId", "AccountObjectId", "ユーザー ID", "ID d'utilisateur", "ID utilisateur", "ID de l'utilisateur",
            "Identifiant utilisateur", "Identifiant d'utilisateur", "Benutzer-ID", "Id. de usuario", "Id. del usuario",
            "Identificador de usuario",
        ],
        UserType: [
            "userType", "ユーザーの種類", "ユーザー タイプ", "ユーザー種別", "Type d'utilisateur", "Benutzertyp", "Tipo de usuario",
        ],
        TypedName: [
            "signInIdentifier", "Sign-in identifier", "サインイン識別子", "サインイン ID", "サインインの識別子",
            "Identificateur de connexion", "Identifiant de connexion", "Anmeldebezeichner", "Anmelde-ID",
            "Identificador de inicio de sesión",
        ],
        AlternateName: ["alternateSignInName"],
        AppId: [
            "appId", "Application ID", "アプリケーション ID", "アプリ ID", "ID d'application", "ID de l'application",
            "ID application", "Anwendungs-ID", "Id. de aplicación", "Id. de la aplicación", "Identificador de aplicación",
        ],
        AppName: ["appDisplayName", "Application", "App", "アプリケーション", "Anwendung", "Aplicación"],
        ResourceId: [
            "resourceId", "リソース ID", "ID de ressource", "ID de la ressource", "ID ressource", "Ressourcen-ID",
            "Id. de recurso", "Id. del recurso", "Identificador de recurso",
        ],
        ResourceIdentity: ["resourceIdentity"],
        ResourceName: ["resourceDisplayName"],
        ResourcePlain: ["Resource", "リソース", "Ressource", "Recurso"],
        Ip: ["ipAddress", "IP アドレス", "Adresse IP", "IP-Adresse", "Dirección IP", "clientIp"],
        CallerIp: ["callerIpAddress"],
        Location: [
            "location", "場所", "ロケーション", "Emplacement", "Localisation", "Lieu", "Standort", "Ort", "Ubicación",
        ],
        LocationDetails: ["locationDetails"],
        City: ["city", "location.city", "locationDetails.city"],
        Country: [
            "country", "countryOrRegion", "location.countryOrRegion", "locationDetails.countryOrRegion", "Country/Region",
        ],
        Latitude: ["latitude", "location.geoCoordinates.latitude", "locationDetails.geoCoordinates.latitude"],
        Longitude: ["longitude", "location.geoCoordinates.longitude", "locationDetails.geoCoordinates.longitude"],
        Status: ["status", "状態", "ステータス", "状況", "Statut", "État", "Estado"],
        ErrorCode: [
            "errorCode", "Sign-in error code", "status.errorCode", "サインイン エラー コード", "サインインのエラー コード",
            "エラー コード", "Code d'erreur de connexion", "Code d'erreur de la connexion", "Code d'erreur", "Fehlercode",
            "Fehlercode der Anmeldung", "Fehlercode bei der Anmeldung", "Fehlercode für Anmeldung", "Anmeldefehlercode",
            "Código de error de inicio de sesión", "Código de error del inicio de sesión", "Código de error",
        ],
        ResultType: ["resultType"],
        FailureReason: [
            "failureReason", "status.failureReason", "エラーの理由", "失敗の理由", "失敗理由", "失敗の原因", "Raison de l'échec",
            "Raison d'échec", "Motif de l'échec", "Motif d'échec", "Fehlerursache", "Fehlergrund", "Grund für Fehler",
            "Grund des Fehlers", "Motivo del error", "Motivo de error", "Razón del error", "Causa del error",
        ],
        ResultDescription: ["resultDescription"],
        StatusDetail: ["status.additionalDetails"],
        ClientApp: [
            "clientAppUsed", "Client app", "クライアント アプリ", "クライアント アプリケーション", "Application cliente",
            "Application client", "Client-App", "Clientanwendung", "Aplicación cliente", "Aplicación de cliente",
        ],
        UserAgent: ["userAgent", "ユーザー エージェント", "Agent utilisateur", "Benutzer-Agent", "Agente de usuario"],
        DeviceDetail: ["deviceDetail"],
        DeviceId: [
            "deviceId", "deviceDetail.deviceId", "AadDeviceId", "EntraIdDeviceId", "デバイス ID", "ID d'appareil",
            "ID de l'appareil", "ID appareil", "Geräte-ID", "Id. de dispositivo", "Id. del dispositivo",
            "Identificador de dispositivo",
        ],
        DeviceName: ["deviceName", "deviceDetail.displayName", "デバイス名", "Nom de l'appareil", "Gerätename"],
        DeviceBrowser: ["browser", "deviceDetail.browser", "ブラウザー", "ブラウザ", "Navigateur", "Explorador", "Navegador"],
        DeviceOs: [
            "operatingSystem", "deviceDetail.operatingSystem", "OSPlatform", "OS", "オペレーティング システム",
            "Système d'exploitation", "Betriebssystem", "Sistema operativo",
        ],
        DeviceManaged: [
            "managed", "isManaged", "deviceDetail.isManaged", "マネージド", "管理対象", "管理", "Géré", "Managé", "Verwaltet",
            "Administrado", "Administrada",
        ],
        SessionId: [
            "sessionId", "セッション ID", "ID de session", "ID de la session", "Identifiant de session", "Sitzungs-ID",
            "Id. de sesión", "Id. de la sesión", "Identificador de sesión",
        ],
        TokenId: [
            "uniqueTokenIdentifier", "Unique token ID", "uniqueTokenId", "一意のトークン識別子", "一意のトークン ID",
            "Identificateur de jeton unique", "Identificateur unique du jeton", "Identifiant de jeton unique",
            "Eindeutiger Tokenbezeichner", "Eindeutige Token-ID", "Identificador de token único",
            "Identificador único de token",
        ],
        CorrelationId: [
            "correlationId", "関連付け ID", "相関 ID", "ID de corrélation", "Identifiant de corrélation", "Korrelations-ID",
            "Id. de correlación", "Identificador de correlación",
        ],
        AuthProtocol: [
            "authenticationProtocol", "認証プロトコル", "Protocole d'authentification", "Authentifizierungsprotokoll",
            "Protocolo de autenticación",
        ],
        TransferMethod: [
            "originalTransferMethod", "元の転送方法", "元の転送方式", "Méthode de transfert d'origine",
            "Méthode de transfert originale", "Ursprüngliche Übertragungsmethode", "Ursprüngliche Transfermethode",
            "Método de transferencia original",
        ],
        AuthRequirement: [
            "authenticationRequirement", "認証要件", "認証の要件", "Exigence d'authentification",
            "Condition d'authentification", "Condition requise pour l'authentification", "Authentifizierungsanforderung",
            "Requisito de autenticación",
        ],
        MfaResult: [
            "Multifactor authentication result", "多要素認証の結果", "多要素認証結果",
            "Résultat de l'authentification multifacteur", "Résultat d'authentification multifacteur",
            "Ergebnis der Multi-Faktor-Authentifizierung", "Ergebnis der mehrstufigen Authentifizierung",
            "Ergebnis der Multi-Factor Authentication", "Resultado de la autenticación multifactor",
        ],
        AuthDetails: ["authenticationDetails"],
        ConditionalAccess: [
            "conditionalAccessStatus", "Conditional Access", "条件付きアクセス", "Accès conditionnel", "Bedingter Zugriff",
            "Acceso condicional",
        ],
        RiskDuring: ["riskLevelDuringSignIn", "Risk level during sign in", "RiskLevel"],
        RiskEvents: ["riskEventTypes_v2"],
        RiskEventsOld: ["riskEventTypes"],
        IsInteractive: ["isInteractive"],
        EventTypes: ["signInEventTypes", "LogonType"],
        Category: ["category"],
        Table: ["type", "tableName"],
        ServicePrincipalId: [
            "servicePrincipalId", "サービス プリンシパル ID", "ID du principal de service", "ID de principal de service",
            "Dienstprinzipal-ID", "ID des Dienstprinzipals", "Id. de entidad de servicio",
            "Id. de la entidad de servicio",
        ],
        ServicePrincipalName: [
            "servicePrincipalName", "サービス プリンシパル名", "Nom du principal de service", "Nom de principal de service",
            "Dienstprinzipalname", "Name des Dienstprinzipals", "Nombre de entidad de servicio",
            "Nombre de la entidad de servicio",
        ],
        CredentialKeyId: ["servicePrincipalCredentialKeyId", "Credential key ID"],
        ManagedIdentity: ["managedServiceIdentity", "Managed Identity type", "managedIdentityType"],
        Asn: [
            "autonomousSystemNumber", "自律システム番号", "Numéro de système autonome", "Nummer des autonomen Systems",
            "Autonome Systemnummer", "Número de sistema autónomo",
        ],
        TenantOfDirectory: ["AADTenantId"],
        ResourceTenant: ["resourceTenantId", "リソース テナント ID"],
        HomeTenant: ["homeTenantId", "ホーム テナント ID"],
        TokenType: ["incomingTokenType"],
        MfaDetail: ["mfaDetail"],
        RiskState: ["riskState"],
        TokenIssuerType: ["tokenIssuerType"],
        CrossTenant: ["crossTenantAccessType"],
        OriginalRequestId: ["originalRequestId"],
    }
}
