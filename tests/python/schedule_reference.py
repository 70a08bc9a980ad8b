import json,random,datetime as D,os,sys
os.environ['PYTHONTZPATH']=[p for p in __import__('glob').glob('/tmp/venv/lib/python3*/site-packages/tzdata/zoneinfo')][0]
from zoneinfo import ZoneInfo
from celery.utils.time import remaining
from dateutil import rrule
random.seed(5)
U=D.timezone.utc
out=open('/tmp/wt/sched/tests/data/relative_ref.jsonl','w')
zones=['UTC','Europe/Berlin','America/New_York','Australia/Lord_Howe','Asia/Kathmandu','America/Havana','Africa/Cairo','Pacific/Chatham','Asia/Seoul','America/Santiago','Asia/Beirut']
iso=lambda d:d.astimezone(U).strftime('%Y-%m-%dT%H:%M:%S')+(('.%06d'%d.microsecond) if d.microsecond else '')+'Z'
every=[1,2.5,10,30,59,60,90,300,3599,3600,5400,7200,36000,86399,86400,129600,172800,604800,2592000]
starts={'Europe/Berlin':['2026-03-28T','2026-10-24T'],'America/New_York':['2026-03-07T','2026-10-31T'],'Australia/Lord_Howe':['2026-04-04T','2026-10-03T'],'America/Havana':['2027-03-13T','2027-11-06T'],'Africa/Cairo':['2026-04-23T','2026-10-29T'],'Pacific/Chatham':['2026-04-03T','2026-09-25T'],'America/Santiago':['2026-04-03T','2026-09-05T'],'Asia/Beirut':['2026-03-28T','2026-10-24T']}
for z in zones:
  tz=ZoneInfo(z)
  for e in every:
    for st in starts.get(z,['2026-12-30T']):
      a=D.datetime.fromisoformat(st+'%02d:%02d:%02d'%(random.randrange(24),random.randrange(60),random.randrange(60))).replace(tzinfo=U,microsecond=random.choice([0,0,250000]))
      # let long chains cross the transition
      chain=[];f=a
      for _ in range(8):
        loc=f.astimezone(tz)
        n=(f+remaining(loc,D.timedelta(seconds=e),now=loc,relative=True)).astimezone(U)
        assert n>f,(z,e,f,n)
        chain.append(n);f=n
      out.write(json.dumps({'timezone':z,'every':e,'anchor':iso(a),'next':[iso(c) for c in chain]})+'\n')
# start near transitions for small ones
      if e<86400:
        tr={'Europe/Berlin':['2026-03-29T01:00','2026-10-25T01:00'],'Australia/Lord_Howe':['2026-04-04T15:00','2026-10-03T15:30'],'America/Havana':['2027-03-14T05:00','2027-11-07T05:00']}.get(z,[])
        for t in tr:
          t=D.datetime.fromisoformat(t+':00').replace(tzinfo=U)
          a=t-D.timedelta(seconds=int(e*random.uniform(.1,3))+random.randrange(0,60))
          chain=[];f=a;ok=True
          for _ in range(8):
            loc=f.astimezone(tz); n=(f+remaining(loc,D.timedelta(seconds=e),now=loc,relative=True)).astimezone(U)
            if not n>f: ok=False;print('stuck',z,e,f,n);break
            chain.append(n);f=n
          if ok: out.write(json.dumps({'timezone':z,'every':e,'anchor':iso(a),'next':[iso(c) for c in chain]})+'\n')
out.close()
rules="""FREQ=DAILY
FREQ=DAILY;INTERVAL=3
FREQ=DAILY;BYMONTH=1,7;BYDAY=MO
FREQ=DAILY;BYMONTHDAY=-1,15
FREQ=DAILY;BYHOUR=3,15;BYMINUTE=0,30
FREQ=DAILY;INTERVAL=10;COUNT=200
FREQ=DAILY;UNTIL=20310101T000000
FREQ=WEEKLY
FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,TH
FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=SU
FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO;WKST=MO
FREQ=WEEKLY;INTERVAL=3;BYDAY=MO,SU;BYHOUR=9,17
FREQ=WEEKLY;BYMONTH=2;BYDAY=WE
FREQ=WEEKLY;COUNT=300
FREQ=MONTHLY
FREQ=MONTHLY;INTERVAL=5
FREQ=MONTHLY;BYMONTHDAY=31
FREQ=MONTHLY;BYMONTHDAY=-1,-3,10
FREQ=MONTHLY;BYDAY=1MO
FREQ=MONTHLY;BYDAY=-1FR
FREQ=MONTHLY;BYDAY=2TU,-2TH
FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13
FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1
FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=1,-1
FREQ=MONTHLY;INTERVAL=18;BYMONTHDAY=10,11,12
FREQ=MONTHLY;BYMONTHDAY=7,8,9,10,11,12,13;BYDAY=SA
FREQ=YEARLY
FREQ=YEARLY;INTERVAL=4
FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29
FREQ=YEARLY;BYMONTH=6,7
FREQ=YEARLY;BYYEARDAY=1,100,200
FREQ=YEARLY;BYYEARDAY=-1,-100,366
FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO
FREQ=YEARLY;BYWEEKNO=1,53;BYDAY=SU
FREQ=YEARLY;BYWEEKNO=-1
FREQ=YEARLY;BYDAY=20MO
FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
FREQ=YEARLY;BYMONTH=3;BYDAY=TH
FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8
FREQ=YEARLY;BYMONTH=1,6;BYDAY=MO,FR;BYSETPOS=2,-1
FREQ=YEARLY;COUNT=40
FREQ=HOURLY
FREQ=HOURLY;INTERVAL=7
FREQ=HOURLY;INTERVAL=36;BYMINUTE=5,45
FREQ=HOURLY;BYHOUR=9,12;BYDAY=MO,FR
FREQ=HOURLY;INTERVAL=5;BYMONTH=3;BYMONTHDAY=1,2
FREQ=MINUTELY;INTERVAL=25
FREQ=MINUTELY;INTERVAL=90;BYHOUR=8,20
FREQ=MINUTELY;INTERVAL=7;BYDAY=SU;BYHOUR=4;COUNT=500
FREQ=MINUTELY;BYMONTH=12;BYMONTHDAY=25;BYHOUR=6;BYMINUTE=10,20
FREQ=SECONDLY;INTERVAL=86401
FREQ=SECONDLY;INTERVAL=100
FREQ=SECONDLY;BYSECOND=0,30;BYMINUTE=15;BYHOUR=2;BYDAY=MO
FREQ=SECONDLY;INTERVAL=45;BYMONTHDAY=-1;BYHOUR=23""".split('\n')
out=open('/tmp/wt/sched/tests/data/rrule_ref.jsonl','w')
for r in rules:
  for k in range(3):
    start=D.datetime(2026,random.randrange(1,13),random.randrange(1,29),random.randrange(24),random.randrange(60),random.randrange(0,60,5))
    try: rr=rrule.rrulestr(r,dtstart=start)
    except ValueError: continue
    far=r.startswith(('FREQ=SECONDLY','FREQ=MINUTELY','FREQ=HOURLY'))
    after=start+D.timedelta(days=random.randrange(0,40 if far else 2500),seconds=random.randrange(86400)) if k else start-D.timedelta(days=3)
    got=[];t=after
    try:
      for o in rr.xafter(after,count=8): got.append(o)
    except ValueError: continue
    got=[g for g in got if g.year<2100]
    f=lambda d:d.strftime('%Y-%m-%dT%H:%M:%S')
    out.write(json.dumps({'rrule':r,'dtstart':f(start),'after':f(after),'next':[f(g) for g in got]})+'\n')
out.close()
