<?php
// phpLDAPadmin for administrators of applications and grants. Whoever logs in as
// remoteapp-writer may change what is below ou=remoteapp and nothing else: the directory's own
// access rules say so, not this file.

$config->custom->session['blowfish'] = substr(file_get_contents('/secrets/session.pw'), 0, 32);
$config->custom->appearance['friendly_attrs'] = array(
	'remoteAppImage' => 'Image',
	'remoteAppAllowHome' => 'Home directory',
	'remoteAppAllowView' => 'Others may view',
	'remoteAppAllowStartupData' => 'Startup data',
	'remoteAppVolume' => 'Volume',
	'remoteAppLicense' => 'Licence',
	'remoteAppNotBefore' => 'Not before',
	'remoteAppNotAfter' => 'Not after',
);
$config->custom->appearance['hide_template_warning'] = true;

$suffix = getenv('SUFFIX') ?: 'dc=example,dc=org';
$servers = new Datastore();
$servers->newServer('ldap_pla');
$servers->setValue('server', 'name', 'SimPhoNy-Remote');
$servers->setValue('server', 'host', getenv('LDAP_URI') ?: 'ldaps://openldap');
$servers->setValue('server', 'port', 636);
$servers->setValue('server', 'base', array($suffix));
// People type the whole name: cn=remoteapp-writer,ou=services,dc=example,dc=org.
$servers->setValue('login', 'auth_type', 'session');
$servers->setValue('login', 'attr', 'dn');
$servers->setValue('login', 'anon_bind', false);
?>
