# A phone of Net::SIP: registers, answers every call and sends back what it hears.
# Says what happened on its output, and does what its input says: "call URI", "hold", "hang up".
use strict;
use warnings;
use Net::SIP;
use Net::SIP::Dispatcher::Eventloop qw(EV_READ);

$| = 1;
my ($local, $proxy, $user, $password, $domain) = @ARGV;
my $agent = Net::SIP::Simple->new(
    legs           => [$local],
    outgoing_proxy => $proxy,
    registrar      => $domain,
    domain         => $domain,
    from           => "sip:$user\@$domain",
    auth           => [$user, $password],
) or die Net::SIP::Simple->error;
$agent->register(expires => 300) or die "not registered: " . $agent->error . "\n";
print "registered\n";

my $call;
my %duties = (
    init_media => $agent->rtp('recv_echo'),
    recv_bye   => sub { print "ended by the other side\n" },
);
$agent->listen(%duties, cb_established => sub { $call = $_[1]; print "established\n" });

sub command {
    my $line = <STDIN>;
    exit 0 if !defined $line;
    if ($line =~ /^call (\S+)/) {
        $call = $agent->invite($1, %duties, cb_final => sub { print "call: $_[0]\n" });
    } elsif ($line =~ /^hold/) {
        $call->reinvite(call_on_hold => 1, cb_final => sub { print "hold: $_[0]\n" });
    } elsif ($line =~ /^hang up/) {
        $call->bye(cb_final => sub { print "ended\n" });
    }
}
$agent->{loop}->addFD(\*STDIN, EV_READ, [\&command]);
$agent->loop;
